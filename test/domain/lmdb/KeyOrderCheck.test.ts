import { assert, describe, it } from "@effect/vitest"
import * as EntryBatch from "../../../src/domain/snapshot/EntryBatch.ts"
import * as KeyOrder from "../../../src/domain/lmdb/KeyOrder.ts"
import { RisingKeys } from "../../../src/domain/lmdb/KeyOrderCheck.ts"
import { SnapshotCorrupt } from "../../../src/domain/snapshot/SnapshotCorrupt.ts"

const batchOf = (keys: ReadonlyArray<string>): EntryBatch.EntryBatch => {
  const batch = EntryBatch.make(keys.length)
  batch.bytes = Buffer.from(keys.join(""))
  let at = 0
  for (const [i, key] of keys.entries()) {
    batch.keyStart[i] = at
    batch.keyEnd[i] = at += key.length
  }
  batch.count = keys.length
  return batch
}

/** Each batch overwritten when it is done, as producers do. */
const check = (order: KeyOrder.KeyOrder, ...batches: ReadonlyArray<ReadonlyArray<string>>): void => {
  const rising = new RisingKeys(order)
  for (const keys of batches) {
    const batch = batchOf(keys)
    rising.checkBatch(batch)
    batch.bytes.fill(0xff)
  }
}

describe("RisingKeys", () => {
  it("takes keys that rise, over any number of batches", () => {
    check(KeyOrder.plain, ["a", "ab"], [], ["b"], ["b\0", "c", "cc"])
    check(KeyOrder.integer, ["\x01\0\0\0", "\0\x01\0\0"], ["\0\0\0\x01"])
  })

  it("finds a key twice and a key out of order, within a batch and between two, with the key", () => {
    for (const batches of [[["a", "a"]], [["a"], ["a"]], [["b", "a"]], [["b"], ["a"]], [["a", "c"], [], ["b"]]]) {
      assert.throws(() => check(KeyOrder.plain, ...batches), SnapshotCorrupt)
    }
    assert.throws(() => check(KeyOrder.plain, ["b", "a"]), /key 0x61 does not come after/)
  })

  it("byte order is wrong for integer keys", () => {
    assert.throws(() => check(KeyOrder.integer, ["\0\x01\0\0", "\x01\0\0\0"]), SnapshotCorrupt)
  })

  it("for reversed keys takes reversed order, or plain order, but no mixture", () => {
    check(KeyOrder.reverse, ["ba", "ab"], ["bb"])
    check(KeyOrder.reverse, ["ab"], ["ba", "bb"])
    assert.throws(() => check(KeyOrder.reverse, ["ba", "ab"], ["bb", "ac", "aa"]), SnapshotCorrupt)
    assert.throws(() => check(KeyOrder.reverse, ["ab", "ab"]), SnapshotCorrupt)
  })
})
