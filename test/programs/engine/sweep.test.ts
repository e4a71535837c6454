/** The sweep of one database: which tombstones go, in which DBIs, and how the lock is held meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database, DatabaseError, type DatabaseOptions, type SweepRequest } from "../../../src/services/Database.ts"
import { LmdbError, MapFull } from "../../../src/services/Lmdb.ts"
import * as CompressionSync from "../../support/fixtures/CompressionSync.ts"
import { contentOf, shown } from "../../support/fixtures/LastWriteWins.ts"
import { databaseOptions, lastId, merge, over, putRaw, raw } from "../../support/fixtures/Environments.ts"
import { type Hooks, hooked } from "../../support/fakes/HookedLmdb.ts"
import { replacing } from "../../support/fakes/ReplacedLmdb.ts"
import { copyAt, main, put, remove, shadow, shadowOptions, theirs } from "../../support/fixtures/ShadowEnvironments.ts"
import { type Line, type Lines, objectOf, ofDbis, rawDbis } from "../../support/fixtures/Snapshots.ts"

const makeWorld = (options: DatabaseOptions = databaseOptions(), memory: LmdbMemory.MemoryOptions = {}) => {
  const { application, layer } = LmdbMemory.makeMemoryEnvironment(memory)
  const counts = { writes: 0 }
  const running = ({ beforeRead, beforeWrite }: Hooks = {}) =>
    Effect.provide(
      over(
        hooked(layer, {
          ...(beforeRead && { beforeRead }),
          beforeWrite: (before) =>
            Effect.andThen(
              Effect.sync(() => counts.writes++),
              beforeWrite?.(before) ?? Effect.void
            )
        }),
        options,
        CompressionSync.layer
      ),
      { local: true }
    )
  return { application, layer, counts, running, put: (lines: Lines) => application.write(putRaw(rawDbis(lines))) }
}

const sweep = (olderThanNano: bigint, request: Partial<SweepRequest> = {}) =>
  Effect.flatMap(Database, ({ sweep }) => sweep({ olderThanNano, lockMillis: 0, releaseMillis: 0, ...request }))

const content = Effect.map(raw, (dbis) => shown(contentOf(dbis)))

const keyOf = (i: number) => `key-${String(i).padStart(6, "0")}`

describe("Sweep", () => {
  it.live("removes tombstones that are older, in every DBI but our own, and leaves all else", () =>
    Effect.gen(function* () {
      const { put, running } = makeWorld()
      const far = 2n ** 40n
      yield* put({
        a: [
          ["k1", 9, null],
          ["k2", 10, null],
          ["k3", 11, null],
          ["k4", 1, "live"],
          ["k5", far - 1n, null],
          ["k6", far, null],
          ["k7", far + 1n, null]
        ],
        b: [["k1", 1, null]],
        empty: [],
        live: [["k", 1, ""]],
        _sync_shadow_a: [["k1", 1, null]],
        _sync_v02: [["k1", 1, null]]
      })
      yield* Effect.gen(function* () {
        const first = yield* sweep(10n)
        assert.deepInclude({ ...first }, { totalEntries: 9, deletedEntries: 7, cleanedEntries: 2, transactions: 2 })
        assert.deepStrictEqual(
          (yield* raw).map(({ entries, name }) => `${name} ${entries.length}`),
          ["_sync_shadow_a 1", "_sync_v02 1", "a 6", "b 0", "empty 0", "live 1"]
        )
        const second = yield* sweep(far)
        assert.deepInclude({ ...second }, { totalEntries: 7, deletedEntries: 5, cleanedEntries: 3, transactions: 1 })
        assert.deepStrictEqual((yield* content)["a"], [
          `6b34 1 "6c697665"`,
          `6b36 ${far} deleted`,
          `6b37 ${far + 1n} deleted`
        ])
      }).pipe(running())
    })
  )

  it.live("nothing to remove: the lock is not taken", () =>
    Effect.gen(function* () {
      const { counts, put, running } = makeWorld()
      yield* put({
        a: [
          ["k1", 9, null],
          ["k2", 1, "v"]
        ]
      })
      yield* Effect.gen(function* () {
        assert.deepInclude(
          { ...(yield* sweep(9n)) },
          { totalEntries: 2, deletedEntries: 1, cleanedEntries: 0, transactions: 0, longestLockMillis: 0 }
        )
        assert.strictEqual(counts.writes, 0)
      }).pipe(running())
    })
  )

  it.live("its own deletions are no reason to send; a commit of the application in between is", () =>
    Effect.gen(function* () {
      const { application, put, running } = makeWorld()
      yield* put({ a: [["k1", 1, null]], b: [["k1", 1, null]] })
      yield* Effect.gen(function* () {
        const { changes } = yield* Database
        yield* sweep(5n)
        assert.deepInclude({ ...(yield* changes) }, { last: 3n, lastForeign: 1n })
      }).pipe(running())
      yield* put({ a: [["k1", 1, null]], b: [["k1", 1, null]] })
      yield* Effect.gen(function* () {
        const { changes } = yield* Database
        yield* sweep(5n)
        assert.deepInclude({ ...(yield* changes) }, { last: 7n, lastForeign: 6n })
      }).pipe(
        running({
          beforeWrite: (before) =>
            before === 1 ? application.write(putRaw(rawDbis({ c: [["k", 1, "v"]] }))) : Effect.void
        })
      )
    })
  )

  it.live("one that the application has revived, or deleted again, since it was found stays", () =>
    Effect.gen(function* () {
      const { application, put, running } = makeWorld()
      yield* put({
        a: [
          ["k1", 1, null],
          ["k2", 1, null],
          ["k3", 1, null],
          ["k4", 1, null]
        ]
      })
      const between: Lines = {
        a: [
          ["k1", 9, "live"],
          ["k3", 9, null]
        ]
      }
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* sweep(5n)).cleanedEntries, 2)
        assert.deepStrictEqual(yield* content, { a: [`6b31 9 "6c697665"`, "6b33 9 deleted"] })
      }).pipe(running({ beforeWrite: () => application.write(putRaw(rawDbis(between))) }))
    })
  )

  it.live("a DBI that the application drops meanwhile is passed over", () =>
    Effect.gen(function* () {
      const { application, put, running } = makeWorld()
      const lines = Array.from({ length: 5_000 }, (_, i): Line => [keyOf(i), 1, null])
      for (const at of [0, 1]) {
        yield* put({ a: lines, b: [["k1", 1, null]] })
        const dropped = rawDbis({ a: [] })[0]!.name
        yield* Effect.gen(function* () {
          yield* sweep(5n)
          assert.deepStrictEqual(yield* content, { b: [] })
        }).pipe(
          running({
            beforeWrite: (before) =>
              before === at ? application.write((transaction) => transaction.drop(dropped)) : Effect.void
          })
        )
      }
    })
  )

  it.live("more than it finds at a time: all are removed, and each is counted once", () =>
    Effect.gen(function* () {
      for (const count of [4_095, 4_096, 4_097, 8_192, 10_000]) {
        const { put, running } = makeWorld()
        const lines = Array.from({ length: count }, (_, i): Line => [keyOf(i), 1, null])
        yield* put({ a: [...lines, ["zz-live", 1, "v"], ["zz-young", 9, null]] })
        yield* Effect.gen(function* () {
          const result = yield* sweep(5n)
          assert.deepInclude(
            { ...result },
            { totalEntries: count + 2, deletedEntries: count + 1, cleanedEntries: count }
          )
          assert.strictEqual((yield* content)["a"]!.length, 2)
          assert.deepInclude({ ...(yield* sweep(5n)) }, { totalEntries: 2, cleanedEntries: 0 })
        }).pipe(running())
      }
    })
  )

  it.live("revived ones among many are still counted once", () =>
    Effect.gen(function* () {
      const { application, put, running } = makeWorld()
      yield* put({ a: Array.from({ length: 9_000 }, (_, i): Line => [keyOf(i), 1, null]) })
      // The last one of the first batch: the next begins there.
      const between: Lines = { a: [[keyOf(4_095), 9, "live"]] }
      yield* Effect.gen(function* () {
        assert.deepInclude(
          { ...(yield* sweep(5n)) },
          { totalEntries: 9_000, deletedEntries: 9_000, cleanedEntries: 8_999 }
        )
        assert.strictEqual((yield* content)["a"]!.length, 1)
      }).pipe(
        running({ beforeWrite: (before) => (before === 0 ? application.write(putRaw(rawDbis(between))) : Effect.void) })
      )
    })
  )

  it.effect("holds the lock for lock_duration, and pauses for release_duration", () =>
    Effect.gen(function* () {
      const { counts, put, running } = makeWorld()
      yield* put({ a: Array.from({ length: 6_000 }, (_, i): Line => [keyOf(i), 1, null]) })
      yield* Effect.gen(function* () {
        const began = counts.writes
        const fiber = yield* Effect.forkChild(sweep(5n, { lockMillis: 0.01, releaseMillis: 50 }))
        // Each turn of the clock lets it go on by one transaction at most.
        let turns = 0
        for (; fiber.pollUnsafe() === undefined; turns++) {
          yield* Effect.replicateEffect(Effect.yieldNow, 20, { discard: true })
          const before = counts.writes
          yield* TestClock.adjust(50)
          yield* Effect.replicateEffect(Effect.yieldNow, 20, { discard: true })
          assert.isAtMost(counts.writes - before, 1)
          yield* TestClock.adjust(0)
        }
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result.cleanedEntries, 6_000)
        assert.strictEqual(result.transactions, counts.writes - began)
        assert.isAbove(result.transactions, 10)
        assert.isAtLeast(turns, result.transactions)
      }).pipe(running())
    })
  )

  it.live("a full map fails it, and leaves all as it was", () =>
    Effect.gen(function* () {
      const { layer, put } = makeWorld()
      yield* put({ a: [["k", 1, null]] })
      const full = Effect.fail(
        new LmdbError({ path: "/memory/data.mdb", reason: new MapFull({ mapSize: 1, used: 1, needed: 2 }) })
      )
      const failing = replacing(layer, (inner) => ({
        write: (body) => inner.write((transaction) => Effect.andThen(body(transaction), full))
      }))
      const error = yield* Effect.provide(Effect.flip(sweep(5n)), over(failing), { local: true })
      assert.strictEqual(error.reaction, "wait: map full")
      assert.deepStrictEqual(yield* Effect.provide(content, layer, { local: true }), { a: ["6b 1 deleted"] })
    })
  )

  it.live("a value that is not native ends it, with its key", () =>
    Effect.gen(function* () {
      const { application, put: putLines, running } = makeWorld()
      yield* putLines({ a: [["k", 1, "v"]] })
      yield* application.write(put("b", { k: "no header" }))
      yield* Effect.gen(function* () {
        const error = yield* Effect.flip(sweep(5n))
        assert.instanceOf(error, DatabaseError)
        assert.include(error.message, `sweep of database "main": DBI "b", key 0x6b`)
      }).pipe(running())
    })
  )

  describe("in shadow mode", () => {
    it.effect("removes them from the shadows only, also of a DBI that is dropped, and main stays", () =>
      Effect.gen(function* () {
        const { application, running } = makeWorld(shadowOptions())
        yield* Effect.gen(function* () {
          yield* application.write(put("d", { a: "1", b: "1", c: "1" }))
          yield* application.write(put("e", { a: "1" }))
          yield* copyAt(5)
          yield* application.write(remove("d", "a"))
          yield* application.write(remove("e", "a"))
          yield* copyAt(6)
          yield* application.write(remove("d", "b"))
          yield* copyAt(7)
          yield* application.write((transaction) => transaction.drop(rawDbis({ e: [] })[0]!.name))
          const { cleanedEntries, totalEntries } = yield* sweep(7_000_000n)
          assert.deepStrictEqual({ cleanedEntries, totalEntries }, { cleanedEntries: 2, totalEntries: 4 })
          assert.deepStrictEqual(yield* shadow("d"), ["b deleted @7ms", "c=1 @5ms"])
          assert.deepStrictEqual(yield* shadow("e"), [])
          assert.deepStrictEqual(yield* main("d"), ["c=1"])
        }).pipe(running())
      })
    )

    it.effect("after it nothing is walked that the application has not touched", () =>
      Effect.gen(function* () {
        const { application, running } = makeWorld(shadowOptions())
        let reads = 0
        yield* Effect.gen(function* () {
          yield* application.write(put("d", { a: "1", b: "1" }))
          yield* copyAt(5)
          yield* application.write(remove("d", "a"))
          yield* copyAt(6)
          yield* sweep(7_000_000n)
          reads = 0
          const id = yield* lastId
          yield* merge(objectOf(ofDbis([theirs("d", [["b", 0, "older"]])])))
          // Its own, and that of the tracker, which compares pages before and after the sweep.
          assert.strictEqual(reads, 2)
          assert.strictEqual(yield* lastId, id)
          // What it commits beside the sweep is not lost.
          yield* application.write(remove("d", "b"))
          yield* copyAt(8)
          yield* application.write(put("d", { c: "1" }))
          yield* sweep(9_000_000n)
          yield* copyAt(9)
          assert.deepStrictEqual(yield* shadow("d"), ["c=1 @9ms"])
        }).pipe(running({ beforeRead: Effect.sync(() => reads++) }))
      })
    )
  })
})
