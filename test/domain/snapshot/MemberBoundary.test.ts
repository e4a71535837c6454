import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { hashKey, isBoundary } from "../../../src/domain/snapshot/MemberBoundary.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))

const keyOf = (seed: number, i: number): Buffer => Buffer.from(`zone-${seed}.example.${i}`)

/** Members as the keys in each, of entries that have `bytes` encoded bytes. */
const members = (keys: ReadonlyArray<Buffer>, bytes: number): ReadonlyArray<string> => {
  const cut: Array<string> = []
  let member = ""
  for (const key of keys) {
    member += `${key.toString()} `
    if (!isBoundary(key, 0, key.length, bytes)) continue
    cut.push(member)
    member = ""
  }
  return [...cut, member]
}

describe("member boundaries", () => {
  it("are cut by the documented hash: FNV-1a, then fmix32", () => {
    // FNV-1a of "" is 811c9dc5, of "a" e40c292c, of "foobar" bf9cf968; the finaliser after that. Computed elsewhere.
    const hashes = ["", "a", "foobar"].map((text) => hashKey(Buffer.from(text), 0, text.length).toString(16))
    assert.deepStrictEqual(hashes, ["ab3e7c0b", "1a80b1b3", "c0da6dc"])
    assert.strictEqual(hashKey(Buffer.from("xfoobary"), 1, 7), hashKey(Buffer.from("foobar"), 0, 6))
  })

  it("an entry of 512 KiB or more always ends a member", () => {
    for (let i = 0; i < 1_000; i++) assert.isTrue(isBoundary(keyOf(1, i), 0, keyOf(1, i).length, 2 ** 19))
  })

  it("a member has 512 KiB on average, whatever the size of the entries", () => {
    for (const bytes of [200, 2_000, 20_000]) {
      const total = 400 * 2 ** 19
      let cuts = 0
      for (let i = 0; i < total / bytes; i++) if (isBoundary(keyOf(7, i), 0, keyOf(7, i).length, bytes)) cuts++
      // 400 expected, with a deviation of 20.
      assert.isTrue(cuts > 300 && cuts < 500, `${bytes}: ${cuts}`)
    }
  })

  it.prop(
    "a changed, added or deleted entry changes only the members between its two neighbouring boundaries",
    [Seed, Seed],
    ([seed, at]) => {
      const keys = Array.from({ length: 400 }, (_, i) => keyOf(seed, i))
      const before = members(keys, 20_000)
      const without = members(keys.toSpliced(at % keys.length, 1), 20_000)
      const added = members(keys.toSpliced(at % keys.length, 0, keyOf(seed, 1_000)), 20_000)
      for (const after of [without, added]) {
        const kept = new Set(after)
        // One member is changed; if the entry was, or became, a boundary, two become one or one becomes two.
        assert.isAtMost(before.filter((member) => !kept.has(member)).length, 2)
        const known = new Set(before)
        assert.isAtMost(after.filter((member) => !known.has(member)).length, 2)
      }
    },
    { arbitrary: { runs: 50 } }
  )
})
