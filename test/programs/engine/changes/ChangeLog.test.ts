/** Bookmarks of dumps, what has changed since each, and what goes when it is too much. */
import { assert, describe, it } from "@effect/vitest"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as ShadowName from "../../../../src/domain/lmdb/ShadowName.ts"
import { ChangeLog } from "../../../../src/programs/engine/changes/ChangeLog.ts"
import { isGone, isThere } from "../../../../src/programs/engine/changes/PendingKeys.ts"
import type { ReadTransaction } from "../../../../src/services/Lmdb.ts"

const d = DbiName.fromText("d")

const view = (...names: ReadonlyArray<DbiName.DbiName>): ReadTransaction => ({
  id: 1n,
  dbis: names.map((name) => ({ name, flags: 0, entries: 1 })),
  plainKeys: [],
  cursor: () => assert.fail("nothing is read")
})

/** Tells the log of changes to one DBI. Returns whether it wants to know more. */
const change = (log: ChangeLog, keys: ReadonlyArray<string>, { dbi = d, before = [d], isPresent = true } = {}) => {
  const sink = log.sinkSince(view(...before), view(...before, dbi))
  if (!sink.dbi({ name: dbi, flags: 0, entries: 1 })) return false
  return keys.every((key) => sink.key(Buffer.from(key), 0, key.length, isPresent))
}

const mark = (log: ChangeLog, timestampNano: bigint) => log.mark({ timestampNano, transactionId: timestampNano })

/** Keys since the bookmark that it starts from; "all" of a DBI, undefined when unknown. */
const since = (log: ChangeLog, from: bigint, dbi = d) => {
  const found = log.since(from)
  if (found === undefined) return undefined
  const keys = found.keys.of(dbi)
  const texts =
    keys === undefined
      ? "all"
      : Array.from({ length: keys.count }, (_, i) =>
          Buffer.from(keys.bytes.subarray(keys.startOf(i), keys.endOf(i))).toString()
        ).sort()
  return [found.bookmark.timestampNano, texts]
}

const many = (from: number, count: number) => Array.from({ length: count }, (_, i) => `key ${from + i}`)

describe("ChangeLog", () => {
  it("knows what has changed since each bookmark, also when those between are removed", () => {
    const log = new ChangeLog(false)
    assert.isFalse(change(log, ["lost"]), "without a bookmark nobody wants to know")
    mark(log, 1n)
    change(log, ["a", "b"])
    mark(log, 2n)
    change(log, ["b", "c"])
    mark(log, 3n)
    change(log, ["e"])
    assert.deepStrictEqual(since(log, 1n), [1n, ["a", "b", "c", "e"]])
    assert.deepStrictEqual(since(log, 2n), [2n, ["b", "c", "e"]])
    log.keepOnly([1n, 3n])
    assert.deepStrictEqual(since(log, 1n), [1n, ["a", "b", "c", "e"]])
    assert.deepStrictEqual(since(log, 2n), [3n, ["e"]], "from the next one")
    change(log, ["f"])
    log.keepOnly([1n])
    change(log, ["g"])
    assert.deepStrictEqual(since(log, 1n), [1n, ["a", "b", "c", "e", "f", "g"]])
    assert.isUndefined(since(log, 2n))
    log.keepOnly([])
    assert.isUndefined(since(log, 0n))
    assert.isFalse(log.isKnown)
  })

  it("knows whether a key is there now", () => {
    const log = new ChangeLog(false)
    mark(log, 1n)
    change(log, ["a", "b"])
    mark(log, 2n)
    change(log, ["a"], { isPresent: false })
    const marksOf = (from: bigint) => Array.from(log.since(from)!.keys.of(d)!.marks.subarray(0, 2))
    assert.deepStrictEqual(marksOf(1n), [isGone, isThere])
    log.keepOnly([1n])
    assert.deepStrictEqual(marksOf(1n), [isGone, isThere])
  })

  it("a DBI that is new counts as a whole, and so does the shadow of one that is", () => {
    const native = new ChangeLog(false)
    mark(native, 1n)
    change(native, ["a"], { before: [] })
    mark(native, 2n)
    change(native, ["b"])
    assert.deepStrictEqual(since(native, 1n), [1n, "all"])
    assert.deepStrictEqual(since(native, 2n), [2n, ["b"]])
    assert.strictEqual(native.count, 1)

    const log = new ChangeLog(true)
    const shadow = ShadowName.of(d)
    mark(log, 1n)
    change(log, ["a"], { dbi: shadow, before: [shadow] })
    assert.deepStrictEqual(since(log, 1n, shadow), [1n, ["a"]])
    change(log, ["b"])
    assert.deepStrictEqual(since(log, 1n, shadow), [1n, ["a"]], "what the application's DBI has is not dumped")
    change(log, ["a"], { before: [shadow] })
    assert.deepStrictEqual(since(log, 1n, shadow), [1n, "all"])
  })

  it("DBIs of our own are none of it", () => {
    const log = new ChangeLog(false)
    mark(log, 1n)
    change(log, ["a"], { dbi: DbiName.fromText("_sync_x"), before: [DbiName.fromText("_sync_x")] })
    assert.strictEqual(log.count, 0)
  })

  it("forgets the oldest beyond its limit, and all when the newest is too large", () => {
    const log = new ChangeLog(false, 30_000)
    mark(log, 1n)
    change(log, many(0, 700))
    mark(log, 2n)
    assert.isTrue(change(log, many(700, 700)))
    assert.isAtMost(log.held, 30_000)
    assert.deepStrictEqual(since(log, 1n)![0], 2n, "the next bookmark")
    assert.strictEqual(log.count, 700)
    assert.isFalse(change(log, many(1_400, 2_000)))
    assert.isUndefined(since(log, 1n))
    assert.strictEqual(log.held, 0)
    mark(log, 3n)
    change(log, ["a"])
    assert.deepStrictEqual(since(log, 3n), [3n, ["a"]])
  })
})
