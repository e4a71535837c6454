import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { integer, plain, reverse } from "../../../src/domain/lmdb/KeyOrder.ts"
import { KeySet } from "../../../src/domain/lmdb/KeySet.ts"
import { Choices } from "../../simulation/Choices.ts"

const add = (set: KeySet, key: string) => set.add(Buffer.from(`--${key}-`, "latin1"), 2, 2 + key.length)

const keyOf = (set: KeySet, index: number) =>
  Buffer.from(set.bytes.subarray(set.startOf(index), set.endOf(index))).toString("latin1")

const keysOf = (set: KeySet) => Array.from({ length: set.count }, (_, index) => keyOf(set, index))

const reversed = (key: string) => [...key].toReversed().join("")

describe("KeySet", () => {
  it.prop("has each key once, in the order in which they were added", [Schema.Array(Schema.String)], ([texts]) => {
    const keys = texts.map((text) => Buffer.from(text, "utf8").toString("latin1"))
    const set = new KeySet()
    for (const key of [...keys, ...keys]) add(set, key)
    assert.deepStrictEqual(keysOf(set), [...new Set(keys)])
    const union = new KeySet()
    for (const key of keys.slice(2)) add(union, key)
    union.addAll(set)
    assert.deepStrictEqual(new Set(keysOf(union)), new Set(keys))
    assert.strictEqual(union.count, new Set(keys).size)
  })

  it("keeps the marks of its keys, and takes those that it has not", () => {
    const set = new KeySet()
    const other = new KeySet()
    for (const key of ["a", "b"]) set.marks[add(set, key)] = 1
    for (const key of ["b", "c"]) other.marks[add(other, key)] = 2
    for (let i = 0; i < 100; i++) add(set, `more ${i}`)
    set.addAll(other)
    const marked = Object.fromEntries(["a", "b", "c", "more 7"].map((key) => [key, set.marks[add(set, key)]]))
    assert.deepStrictEqual(marked, { a: 1, b: 1, c: 2, "more 7": 0 })
    other.marks[add(other, "c")] = 0
    set.addLater(other)
    assert.deepStrictEqual(
      ["a", "b", "c"].map((key) => set.marks[add(set, key)]),
      [1, 2, 2]
    )
  })

  it("tells the memory that many keys take, and sorts them as LMDB does", () => {
    const choices = new Choices(1)
    const set = new KeySet()
    for (let i = 0; i < 100_000; i++) set.add(Uint8Array.from([0, choices.below(256), choices.below(256), 0]), 0, 4)
    assert.isAtLeast(set.count, 40_000)
    assert.isAtLeast(set.held, 8 * set.count)
    assert.isBelow(set.held, 64 * set.count)
    const sorted = (order: 0 | 1 | 2) => Array.from(set.sorted(order), (index) => keyOf(set, index))
    assert.deepStrictEqual(sorted(plain), keysOf(set).sort())
    const byEnd = keysOf(set).map(reversed).sort().map(reversed)
    assert.deepStrictEqual(sorted(integer), byEnd)
    assert.deepStrictEqual(sorted(reverse), byEnd)
  })
})
