/**
 * The ways through a merge: winners, too many of them, nothing at all, an LMDB without entries, late fields, several
 * messages for a DBI.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { gzipSync } from "node:zlib"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database } from "../../../../src/services/Database.ts"
import { snapshotHead } from "../../../../src/domain/snapshot/SnapshotWriter.ts"
import { type DecodedSnapshot, encode } from "../../../support/fixtures/DecodedSnapshot.ts"
import { contentOf, mergeSnapshot, shown } from "../../../support/fixtures/LastWriteWins.ts"
import { databaseOptions, lastId, merge, over, putRaw, raw } from "../../../support/fixtures/Environments.ts"
import { hooked } from "../../../support/fakes/HookedLmdb.ts"
import { dbi, type Lines, many, objectOf, ofDbis, rawDbis, snapshot } from "../../../support/fixtures/Snapshots.ts"

/** An environment in memory with this content, what merging does to it, and how often it took the lock. */
const merging = Effect.fnUntraced(function* (local: Lines, decoded: DecodedSnapshot, compressed = objectOf(decoded)) {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment()
  yield* application.write(putRaw(rawDbis(local)))
  let writes = 0
  const counted = hooked(layer, { beforeWrite: () => Effect.sync(() => void writes++) })
  return yield* Effect.provide(
    Effect.gen(function* () {
      const before = yield* raw
      const idBefore = yield* lastId
      const result = yield* merge(compressed)
      const after = yield* raw
      const expected = mergeSnapshot(contentOf(before), decoded)
      assert.deepStrictEqual(shown(contentOf(after)), shown(expected))
      const { changes } = yield* Database
      assert.strictEqual(
        (yield* changes).lastForeign,
        idBefore,
        "what a merge writes is no change of the application's"
      )
      return { result, before, after, writes, newIds: Number((yield* lastId) - idBefore) }
    }),
    over(counted)
  )
})

/** Not compressible: by a linear congruential generator. */
const noise = (bytes: number, seed: number): string => {
  const buffer = Buffer.alloc(bytes)
  let state = seed
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    buffer[i] = 0x20 + ((state >>> 24) % 95)
  }
  return buffer.toString("latin1")
}

const noisy = (count: number, bytes: number, timestamp: number) =>
  Array.from({ length: count }, (_, i) => [`key-${String(i).padStart(6, "0")}`, timestamp, noise(bytes, i)] as const)

const local: Lines = {
  a: [
    ["k1", 10, "old"],
    ["k2", 20, "newer"],
    ["k3", 5, "same"],
    ["k9", 1, "only here"]
  ]
}

describe("Merge: ways through it", () => {
  it.live("what wins is written in one transaction, after one reading", () =>
    Effect.gen(function* () {
      const { newIds, result } = yield* merging(
        local,
        snapshot({
          a: [
            ["k0", 3, "new"],
            ["k1", 11, "wins"],
            ["k2", 19, "loses"],
            ["k3", 5, "same"],
            ["k4", 2, null]
          ]
        })
      )
      assert.deepInclude(
        { ...result },
        { entriesRead: 5, entriesWritten: 3, transactions: 1, passes: 1, transactionId: 2n }
      )
      assert.strictEqual(newIds, 1)
      assert.isAbove(result.lockHeldMillis, 0)
      assert.strictEqual(result.longestLockMillis, result.lockHeldMillis)
    })
  )

  it.live("a snapshot that brings nothing new never takes the lock", () =>
    Effect.gen(function* () {
      const { newIds, result, writes } = yield* merging(
        local,
        snapshot({
          a: [
            ["k1", 9, "older"],
            ["k2", 20, "newer"],
            ["k3", 5, "tie loses"]
          ]
        })
      )
      assert.deepInclude(
        { ...result },
        {
          entriesRead: 3,
          entriesWritten: 0,
          transactions: 0,
          passes: 1,
          lockHeldMillis: 0,
          longestLockMillis: 0,
          transactionId: 1n
        }
      )
      assert.deepStrictEqual({ newIds, writes }, { newIds: 0, writes: 0 })
    })
  )

  it.live("a DBI that is not there is made, also without entries", () =>
    Effect.gen(function* () {
      const { after, result } = yield* merging(local, snapshot({ b: [], c: [["k", 1, "v"]] }))
      assert.deepStrictEqual(
        after.map(({ entries, name }) => [name, entries.length]),
        [
          ["a", 4],
          ["b", 0],
          ["c", 1]
        ]
      )
      assert.strictEqual(result.entriesWritten, 1)
    })
  )

  it.live("our own DBIs are never taken from a snapshot", () =>
    Effect.gen(function* () {
      const { after, newIds } = yield* merging(
        local,
        snapshot({ _sync_shadow_a: [["k", 9, "v"]], _sync: [["k", 9, "v"]] })
      )
      assert.deepStrictEqual(
        after.map(({ name }) => name),
        ["a"]
      )
      assert.strictEqual(newIds, 0)
    })
  )

  it.live("more winners than are kept in memory: the snapshot is read again, inside the transaction", () =>
    Effect.gen(function* () {
      const large = many(340, 50, 100_000)
      const { result } = yield* merging(
        { a: many(340, 40, 10), b: many(3, 60, 10) },
        snapshot({ a: large, b: many(5, 50, 20), c: many(2, 50, 5) })
      )
      assert.deepInclude(
        { ...result },
        { entriesRead: 347, entriesWritten: 344, transactions: 1, passes: 2, transactionId: 2n }
      )
    })
  )

  it.live("into an LMDB without entries a large snapshot is read once", () =>
    Effect.gen(function* () {
      const decoded = snapshot({ a: noisy(150, 10_000, 7), b: many(10, 8, 30) })
      assert.isAbove(objectOf(decoded).length, 2 ** 20)
      const { result } = yield* merging({ a: [] }, decoded)
      assert.deepInclude({ ...result }, { entriesRead: 160, entriesWritten: 160, transactions: 1, passes: 1 })
    })
  )

  it.live("into an LMDB without entries a large snapshot that is corrupt at its end writes nothing", () =>
    Effect.gen(function* () {
      const decoded = snapshot({ a: noisy(150, 10_000, 7) })
      for (const broken of [objectOf(decoded).subarray(0, -6), objectOf({ ...decoded, compatVersion: 4 })]) {
        yield* Effect.provide(
          Effect.gen(function* () {
            const error = yield* Effect.flip(merge(broken))
            assert.strictEqual(error._tag, "DatabaseError")
            assert.strictEqual(yield* lastId, 0n)
            assert.deepStrictEqual(yield* raw, [])
          }),
          over(LmdbMemory.layerWith()),
          { local: true }
        )
      }
    })
  )

  it.live("a DBI in several messages is merged message by message", () =>
    Effect.gen(function* () {
      const repeated = ofDbis([
        dbi("a", [
          ["k1", 11, "first"],
          ["k5", 9, "x"]
        ]),
        dbi("b", [["k1", 1, "x"]]),
        dbi("a", [
          ["k1", 12, "second"],
          ["k5", 8, "older"],
          ["k6", 1, "y"]
        ]),
        dbi("a", [["k1", 12, "a smaller value wins the tie"]])
      ])
      const { result } = yield* merging(local, repeated)
      assert.strictEqual(result.transactions, 1)
    })
  )

  it.live("a DBI in several messages, with more winners than are kept", () =>
    Effect.gen(function* () {
      const { result } = yield* merging(
        local,
        ofDbis([
          dbi("a", many(340, 50, 100_000)),
          dbi("b", many(2, 50, 10)),
          dbi("a", [
            ["k1", 12, "z"],
            ["key-00000001", 49, "older"],
            ["key-00000002", 51, "newer"]
          ]),
          dbi("b", [["k", 1, null]])
        ])
      )
      assert.deepInclude({ ...result }, { passes: 2, transactions: 1 })
    })
  )

  it.live("versions after the databases: what was taken for granted is read again", () =>
    Effect.gen(function* () {
      const decoded = {
        ...snapshot({
          a: [
            ["k1", 11, ""],
            ["k4", 2, ""]
          ],
          b: [["k", 1, "v"]]
        }),
        formatVersion: 1
      }
      const head = snapshotHead(decoded, decoded.meta)
      const late = gzipSync(Buffer.concat([encode(decoded).subarray(head.length), head]))
      const { after, result } = yield* merging(local, decoded, late)
      assert.deepInclude({ ...result }, { passes: 2, transactions: 1 })
      // In format 1 an empty value is a deletion.
      assert.strictEqual(after[0]!.entries[0]!.value.slice(34, 36), "01")
    })
  )

  it.live("versions after the databases, in an LMDB without entries: what was written for granted is not kept", () =>
    Effect.gen(function* () {
      const decoded = { ...snapshot({ a: [["empty", 2, ""], ...noisy(150, 10_000, 7)] }), formatVersion: 1 }
      const head = snapshotHead(decoded, decoded.meta)
      const late = gzipSync(Buffer.concat([encode(decoded).subarray(head.length), head]))
      const { result } = yield* merging({}, decoded, late)
      assert.deepInclude({ ...result }, { passes: 2, transactions: 1 })
    })
  )

  it.live("values larger than a batch, and padding when it is asked for", () =>
    Effect.gen(function* () {
      const decoded = snapshot({
        a: [
          ["k", 1, noise(3_000_000, 1)],
          ["l", 1, "small"],
          ["m", 1, null]
        ]
      })
      yield* Effect.provide(
        Effect.gen(function* () {
          yield* merge(objectOf(decoded))
          const content = yield* raw
          assert.deepStrictEqual(shown(contentOf(content)), shown(mergeSnapshot(new Map(), decoded)))
          assert.deepStrictEqual(
            content[0]!.entries.map(({ value }) => value.slice(44, 64)),
            Array(3).fill("00010000000000000000")
          )
        }),
        over(LmdbMemory.layerWith(), databaseOptions({ paddingBlock: true }))
      )
    })
  )
})
