/**
 * The contract that every `Database` layer must pass. It uses real time and real files, because a worker does not share
 * the TestClock of this thread.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { gunzipSync } from "node:zlib"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a descriptor of a file that is always full
import * as fs from "node:fs"
import { Database, DatabaseError, type DatabaseOptions } from "../../src/services/Database.ts"
import type { Spool } from "../../src/services/Spool.ts"
import { decode } from "../support/fixtures/DecodedSnapshot.ts"
import { type Lines, nativeValue, object, objectOf, snapshot } from "../support/fixtures/Snapshots.ts"
import {
  dumpObject,
  largeObject,
  type LayerOf,
  mergeObject,
  newOptions,
  spool,
  spooled
} from "../support/fakes/DatabaseLayers.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"

const content: Lines = {
  a: [
    ["k1", 5, "one"],
    ["k2", 2n ** 63n, null]
  ],
  b: []
}

const dumped = Effect.map(dumpObject(), ({ object, result }) => ({ result, dbis: decode(gunzipSync(object)).dbis }))

const failed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => (error instanceof DatabaseError ? error : assert.fail(String(error))))

/** Starts another process with the same file. */
const application = (options: DatabaseOptions) => LmdbApplication.make({ path: options.lmdb.path, mapSize: 2 ** 30 })

export const suite = (name: string, layerOf: LayerOf) => {
  const withDatabase = <A, E>(
    use: (options: DatabaseOptions) => Effect.Effect<A, E, Database | Spool>,
    overrides: Partial<DatabaseOptions> = {}
  ) =>
    Effect.scoped(
      Effect.gen(function* () {
        const options = yield* newOptions(overrides)
        return yield* Effect.provide(use(options), Layer.merge(layerOf(options), spool))
      })
    )

  describe(`Database (${name})`, () => {
    it.live("what was merged is dumped, and the results are numbers and ids as they were counted", () =>
      withDatabase(
        Effect.fnUntraced(function* () {
          const database = yield* Database
          assert.strictEqual(database.name, "main")
          assert.deepEqual(
            { ...(yield* database.changes) },
            { last: 0n, stored: 0n, lastForeign: 0n, atOpen: 0n, emptyAtOpen: true }
          )
          const merged = yield* mergeObject(object(content))
          assert.deepInclude(
            { ...merged },
            { transactionId: 1n, entriesRead: 2, entriesWritten: 2, transactions: 1, passes: 1 }
          )
          assert.isAbove(merged.lockHeldMillis, 0)
          const { dbis, result } = yield* dumped
          assert.deepStrictEqual(dbis, snapshot(content).dbis)
          assert.deepInclude({ ...result }, { transactionId: 1n, entries: 2, clockBehind: false })
          assert.isTrue(result.timestampNano > 10n ** 18n)
          assert.deepEqual(
            { ...(yield* database.changes) },
            { last: 1n, stored: 1n, lastForeign: 0n, atOpen: 0n, emptyAtOpen: true }
          )
          assert.deepInclude({ ...(yield* database.info) }, { lastTransactionId: 1n, pageSize: 4096 })
        })
      )
    )

    it.live("another process's commits are told from ours", () =>
      withDatabase(
        Effect.fnUntraced(function* (options) {
          const database = yield* Database
          yield* mergeObject(object(content))
          yield* Effect.scoped(
            Effect.gen(function* () {
              const other = yield* application(options)
              yield* other.write({ do: "put", dbi: "a", key: "6b33", value: nativeValue(9, "theirs").toString("hex") })
              const { last, lastForeign } = yield* database.changes
              assert.deepStrictEqual([last, lastForeign], [2n, 2n])
              yield* mergeObject(object({ a: [["k3", 10, "newer"]] }))
              assert.deepInclude({ ...(yield* database.changes) }, { last: 3n, lastForeign: 2n })
            })
          )
        })
      )
    )

    it.live("errors arrive typed, with the reaction to them", () =>
      withDatabase(
        Effect.fnUntraced(function* () {
          const corrupt = yield* failed(mergeObject(object(content).subarray(0, 40)))
          assert.deepStrictEqual(
            [corrupt.reason._tag, corrupt.reaction, corrupt.operation],
            ["CompressionError", "quarantine: corrupt", "merge"]
          )
          const unordered = {
            ...snapshot({}),
            dbis: [{ ...snapshot(content).dbis[0]!, entries: snapshot(content).dbis[0]!.entries.toReversed() }]
          }
          const wrong = yield* failed(mergeObject(objectOf(unordered)))
          assert.deepStrictEqual([wrong.reason._tag, wrong.reaction], ["CorruptSnapshot", "quarantine: corrupt"])
          const refused = yield* failed(mergeObject(objectOf({ ...snapshot(content), compatVersion: 4 })))
          assert.deepStrictEqual([refused.reason._tag, refused.reaction], ["RefusedSnapshot", "quarantine: refused"])
          assert.include(refused.message, `merge of database "main": the snapshot is refused`)
          const { changes } = yield* Database
          assert.strictEqual((yield* changes).last, 0n)
        })
      )
    )

    it.live("errors of LMDB arrive typed: a full map with its sizes, values that are not native with their key", () =>
      withDatabase(
        Effect.fnUntraced(function* (options) {
          yield* mergeObject(object(content))
          const full = yield* failed(mergeObject(object({ a: [["k", 6, "x".repeat(250_000)]] })))
          assert.strictEqual(full.reaction, "wait: map full")
          if (full.reason._tag !== "LmdbError" || full.reason.reason._tag !== "MapFull")
            return assert.fail(full.message)
          assert.strictEqual(full.reason.reason.mapSize, 2 ** 18)
          const other = yield* LmdbApplication.make({ path: options.lmdb.path, mapSize: 2 ** 18 })
          yield* other.write({ do: "put", dbi: "a", key: "6b33", value: "00" })
          const notNative = yield* failed(dumpObject())
          assert.deepStrictEqual([notNative.reason._tag, notNative.reaction], ["NotNative", "end"])
          assert.include(notNative.message, `DBI "a", key 0x6b33`)
        }, Effect.scoped),
        {
          lmdb: {
            path: "",
            noSubdir: true,
            create: true,
            mapSize: 2 ** 18,
            maxDbs: 64,
            dirMask: 0o775,
            fileMask: 0o664
          }
        }
      )
    )

    it.live("an LMDB that is not there is missing", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const options = yield* newOptions()
          const missing = { ...options, lmdb: { ...options.lmdb, create: false } }
          const error = yield* failed(
            Effect.mapError(Effect.provide(Database, layerOf(missing)), (error) =>
              error._tag === "LmdbError"
                ? new DatabaseError({ database: "main", operation: "open", reason: error })
                : error
            )
          )
          assert.deepStrictEqual([error.operation, error.reaction], ["open", "wait: missing"])
          assert.include(error.message, options.lmdb.path)
        })
      )
    )

    it.live("a spool that fails is an error with its directory, and nothing is written", () =>
      withDatabase(
        Effect.fnUntraced(function* () {
          const { changes, dump, merge } = yield* Database
          yield* mergeObject(object(content))
          const fd = yield* Effect.acquireRelease(
            Effect.sync(() => fs.openSync("/dev/full", "r+")),
            (fd) => Effect.sync(() => fs.closeSync(fd))
          )
          const place = { fd, directory: "/spool", memoryLimit: 0 }
          const full = yield* failed(dump({ place, format: "gzip", instanceID: "a", hostname: "h", newestKnown: 0n }))
          assert.deepStrictEqual([full.reason._tag, full.reaction], ["SpoolError", "retry"])
          assert.include(full.message, "spool in /spool: write failed with ENOSPC")
          const broken = yield* failed(
            merge({
              snapshots: [
                {
                  spooled: { place: { ...place, fd: 999_999 }, size: 9, memory: [], extents: [{ start: 0, end: 9 }] },
                  format: "gzip"
                }
              ]
            })
          )
          assert.include(broken.message, "read failed with EBADF")
          assert.strictEqual((yield* changes).last, 1n)
        }, Effect.scoped)
      )
    )

    it.live(
      "an interrupted merge has left when it returns: the lock is free, nothing was written, the next one works",
      () =>
        withDatabase(
          Effect.fnUntraced(function* (options) {
            const { changes, merge } = yield* Database
            const large = yield* spooled(largeObject(400_000))
            const other = yield* application(options)
            yield* other.write({ do: "create", dbi: "d", flags: 0 })
            const fiber = yield* Effect.forkChild(merge({ snapshots: [{ spooled: large, format: "gzip" }] }))
            yield* Effect.sleep(60)
            yield* Fiber.interrupt(fiber)
            assert.strictEqual((yield* changes).last, 1n)
            assert.strictEqual(
              yield* other.write({ do: "put", dbi: "d", key: "6b", value: nativeValue(1, "v").toString("hex") }),
              2n
            )
            const [result] = yield* merge({ snapshots: [{ spooled: large, format: "gzip" }] })
            assert.strictEqual(result.entriesWritten, 400_000)
          }, Effect.scoped)
        )
    )

    it.live("beside a long dump and a long merge changes are answered", () =>
      withDatabase(
        Effect.fnUntraced(function* () {
          const { changes, merge } = yield* Database
          yield* mergeObject(largeObject(200_000))
          const large = yield* spooled(largeObject(200_000))
          const work = yield* Effect.forkChild(
            Effect.all([dumpObject(), merge({ snapshots: [{ spooled: large, format: "gzip" }] })], { concurrency: 2 })
          )
          let answered = 0
          while (work.pollUnsafe() === undefined) {
            yield* changes
            answered++
            yield* Effect.sleep(1)
          }
          yield* Fiber.join(work)
          assert.isAbove(answered, 5)
        }, Effect.scoped)
      )
    )
  })
}
