/** A merge beside an application that goes on writing: between the two phases, and under the merge's feet. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { Database } from "../../../../src/services/Database.ts"
import { LmdbError, LmdbFailure } from "../../../../src/services/Lmdb.ts"
import * as LmdbApplication from "../../../support/fakes/LmdbApplication.ts"
import { beside, type Commit, drop, merged, model, put } from "../../../support/fixtures/BesideApplication.ts"
import { lastId, merge, nativeOptions, over, raw } from "../../../support/fixtures/Environments.ts"
import { temporaryFolder } from "../../../support/fixtures/GoldenEnvironments.ts"
import { hooked } from "../../../support/fakes/HookedLmdb.ts"
import { type Lines, many, nativeValue, object, snapshot } from "../../../support/fixtures/Snapshots.ts"

const local: Lines = {
  a: [
    ["k1", 10, "old"],
    ["k2", 10, "old"],
    ["k3", 30, "newer"]
  ]
}
const remote: Lines = {
  a: [
    ["k1", 20, "remote"],
    ["k2", 20, "remote"],
    ["k3", 20, "loses"],
    ["k4", 20, "added"]
  ],
  b: [["k", 20, "v"]]
}

const notNative =
  (key: string, value: Uint8Array): Commit =>
  (transaction) =>
    transaction.put(DbiName.fromText("a"), Buffer.from(key), 0, key.length, value, 0, value.length, false)

describe("Merge beside its application", () => {
  it.live("what it commits between the phases is compared again: the newer stays, whoever wrote it", () =>
    Effect.gen(function* () {
      const between: Lines = {
        a: [
          ["k1", 25, "application"],
          ["k2", 15, "application, older"],
          ["k4", 25, null]
        ]
      }
      const { layer } = yield* beside(local, [put(between)])
      yield* Effect.provide(
        Effect.gen(function* () {
          const { content, result } = yield* merged(snapshot(remote))
          assert.deepStrictEqual(content, model(local, between, remote))
          assert.deepInclude({ ...result }, { entriesWritten: 2, transactions: 1, transactionId: 3n, passes: 1 })
          const { changes } = yield* Database
          assert.deepInclude({ ...(yield* changes) }, { last: 3n, lastForeign: 2n })
        }),
        layer
      )
    })
  )

  it.live("the same over a real file, with another process for the application", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const options = nativeOptions(`${yield* temporaryFolder}/data.mdb`)
        const layer = LmdbNative.layerWith(options.lmdb)
        yield* Effect.provide(merge(object(local)), over(layer, options), { local: true })
        const application = yield* LmdbApplication.make({ path: options.lmdb.path, mapSize: 2 ** 30 })
        const commit = application
          .write(
            { do: "put", dbi: "a", key: "6b31", value: nativeValue(25, "application").toString("hex") },
            { do: "put", dbi: "a", key: "6b34", value: nativeValue(25, null).toString("hex") }
          )
          .pipe(
            Effect.mapError(
              (error) =>
                new LmdbError({ path: "", reason: new LmdbFailure({ code: "application", detail: error.message }) })
            )
          )
        yield* Effect.provide(
          Effect.gen(function* () {
            const { content, result } = yield* merged(snapshot(remote))
            assert.deepStrictEqual(
              content,
              model(
                local,
                {
                  a: [
                    ["k1", 25, "application"],
                    ["k4", 25, null]
                  ]
                },
                remote
              )
            )
            assert.deepInclude({ ...result }, { entriesWritten: 2, transactionId: 3n })
            const { changes } = yield* Database
            assert.deepInclude({ ...(yield* changes) }, { last: 3n, lastForeign: 2n })
          }),
          over(hooked(layer, { beforeWrite: () => commit }), options)
        )
      })
    )
  )

  it.live("a DBI that it makes in between is merged into, not made", () =>
    Effect.gen(function* () {
      const between: Lines = {
        b: [
          ["k", 21, "application"],
          ["l", 1, "application"]
        ]
      }
      const { layer } = yield* beside(local, [put(between)])
      yield* Effect.provide(
        Effect.gen(function* () {
          assert.deepStrictEqual((yield* merged(snapshot(remote))).content, model(local, between, remote))
        }),
        layer
      )
    })
  )

  it.live("a DBI that it drops in between is not taken for an empty one: the merge begins again", () =>
    Effect.gen(function* () {
      const { layer } = yield* beside(local, [drop("a")])
      yield* Effect.provide(
        Effect.gen(function* () {
          const { content, result } = yield* merged(snapshot(remote))
          assert.deepStrictEqual(content, model(remote), "also what had lost before")
          assert.strictEqual(result.passes, 2)
        }),
        layer
      )
    })
  )

  it.live("an application that drops its DBI again and again is given up on, to be tried again later", () =>
    Effect.gen(function* () {
      const { application, layer } = LmdbMemory.makeMemoryEnvironment()
      // There whenever it is looked for, gone whenever it is to be written.
      const restless = hooked(layer, {
        beforeRead: application.write(put(local)),
        beforeWrite: () => application.write(drop("a"))
      })
      yield* Effect.provide(
        Effect.gen(function* () {
          const error = yield* Effect.flip(merge(object(remote)))
          if (error._tag !== "DatabaseError") return assert.fail(error.message)
          assert.strictEqual(error.reaction, "retry")
          assert.include(error.message, `"a"`)
        }),
        over(restless)
      )
    })
  )

  it.live("a DBI that it recreates with flags ends the merge by its name", () =>
    Effect.gen(function* () {
      const { layer } = yield* beside(local, [
        (transaction) => {
          transaction.drop(DbiName.fromText("a"))
          transaction.create(DbiName.fromText("a"), 8)
        }
      ])
      yield* Effect.provide(
        Effect.gen(function* () {
          const error = yield* Effect.flip(merge(object(remote)))
          assert.strictEqual(error._tag === "DatabaseError" ? error.reason._tag : error._tag, "UnsupportedDbi")
          assert.include(error.message, `DBI "a" cannot be synced`)
        }),
        layer
      )
    })
  )

  for (const { problem, value } of [
    { problem: "no bytes", value: Buffer.alloc(0) },
    { problem: "fewer bytes than a header", value: Buffer.alloc(23) },
    { problem: "another version", value: nativeValue(1, "v").fill(1, 16, 17) },
    { problem: "extension blocks beyond its end", value: nativeValue(1, "v").fill(1, 23, 24) }
  ]) {
    it.live(`a value with ${problem} ends the merge with its key, and nothing is overwritten`, () =>
      Effect.gen(function* () {
        for (const commits of [[], [notNative("k2", value)]]) {
          const { application, layer } = yield* beside(local, commits)
          if (commits.length === 0) yield* application.write(notNative("k2", value))
          yield* Effect.provide(
            Effect.gen(function* () {
              const error = yield* Effect.flip(merge(object(remote)))
              if (error._tag !== "DatabaseError") return assert.fail(error.message)
              assert.strictEqual(error.reaction, "end")
              assert.include(error.message, `DBI "a", key 0x6b32`)
              const content = yield* raw
              assert.deepStrictEqual(
                content.map(({ name }) => name),
                ["a"]
              )
              assert.strictEqual(content[0]!.entries[0]!.value.slice(0, 16), "000000000000000a", "k1 is as it was")
              assert.strictEqual(content[0]!.entries[1]!.value, value.toString("hex"))
            }),
            layer
          )
        }
      })
    )
  }

  it.live("an interruption aborts: nothing is written, and the next commit is known to be the application's", () =>
    Effect.gen(function* () {
      const { application, layer } = LmdbMemory.makeMemoryEnvironment()
      yield* application.write(put(local))
      const writing = yield* Deferred.make<void>()
      const large = object({ a: many(40_000, 20, 10) })
      yield* Effect.provide(
        Effect.gen(function* () {
          const before = yield* raw
          const fiber = yield* Effect.forkChild(merge(large))
          yield* Deferred.await(writing)
          yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          assert.deepStrictEqual(yield* raw, before)
          assert.strictEqual(yield* lastId, 1n)
          yield* application.write(put({ a: [["k", 1, "v"]] }))
          const { changes } = yield* Database
          assert.strictEqual((yield* changes).lastForeign, 2n)
          assert.strictEqual((yield* merge(large)).entriesWritten, 40_000)
        }),
        over(hooked(layer, { beforeWrite: () => Deferred.succeed(writing, undefined) }))
      )
    })
  )
})
