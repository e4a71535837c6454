import { assert, describe, it } from "@effect/vitest"
import { Scalar } from "../../../src/domain/settings/values/YamlScalar.ts"
import { isMap, type Tree } from "../../../src/domain/settings/SettingsTree.ts"
import { mapOutsideComments } from "../../../src/layers/settings/YamlComments.ts"
import { parse } from "../../../src/layers/settings/YamlTree.ts"

const plain = (tree: Tree | undefined): unknown =>
  tree === undefined || tree instanceof Scalar
    ? tree?.text
    : isMap(tree)
      ? Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, plain(value)]))
      : tree.map(plain)

describe("YamlTree", () => {
  it("merges maps: own keys win, the first of several wins, null hides", () => {
    const { tree } = parse("a: &a {x: 1, y: 1, z: 1}\nb: &b {y: 2, w: 2}\nc: {<<: [*b, *a], z: 3, x: ~}\n")
    assert.deepStrictEqual(plain(tree && tree["c"]), { y: "2", w: "2", z: "3" })
  })

  it("names a key that is there twice with its path and lines, at any depth", () => {
    assert.deepStrictEqual(parse("a:\n  b: 1\n  c: 2\n  b: 3\n").problems, [
      { path: ["a", "b"], message: "the key is there twice, in lines 2 and 4" }
    ])
  })

  it("keys that YAML 1.1 would read as the same value are different text", () => {
    assert.deepStrictEqual(plain(parse("{on: 1, yes: 2, 1: 3, 01: 4}").tree), { on: "1", yes: "2", 1: "3", "01": "4" })
  })

  it("refuses cycles, aliases without anchor, and alias bombs, instead of hanging", () => {
    assert.include(parse("a: &a {b: *a}\n").problems[0]?.message, "an alias of what it is in")
    assert.include(parse("a: *nowhere\n").problems[0]?.message, "an alias without an anchor")
    const bomb = [
      "a0: &a0 [x]",
      ...Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(10).fill(`*a${n}`).join(", ")}]`)
    ].join("\n")
    assert.include(parse(bomb).problems.at(-1)?.message, "too many aliases")
  })

  it("refuses several documents, unknown tags and keys that are no text", () => {
    for (const text of ["a: 1\n---\nb: 2\n", "a: !foo 1\n", "? [a]\n: 1\n"])
      assert.lengthOf(parse(text).problems, 1, text)
    assert.lengthOf(parse("a: !!int 5\n").problems, 0)
  })

  it("finds comments where YAML does, and leaves them as they are", () => {
    const text = "# c\na: 'x # t' # c\nb: |\n  # t\nc: t#t\nd: {e: ${t}} # c\r\n"
    assert.strictEqual(
      mapOutsideComments(text, (part) => part.toUpperCase()),
      "# c\nA: 'X # T' # c\nB: |\n  # T\nC: T#T\nD: {E: ${T}} # c\r\n"
    )
  })
})
