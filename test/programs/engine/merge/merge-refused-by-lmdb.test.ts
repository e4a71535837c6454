/** What a snapshot asks of LMDB and LMDB cannot do: the snapshot is refused, and nothing of it is written. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as DbiFlags from "../../../../src/domain/lmdb/DbiFlags.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import type { DatabaseError } from "../../../../src/services/Database.ts"
import { LmdbError, LmdbFailure, type WriteTransaction } from "../../../../src/services/Lmdb.ts"
import * as LmdbApplication from "../../../support/fakes/LmdbApplication.ts"
import { replacing } from "../../../support/fakes/ReplacedLmdb.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { merge, nativeOptions, over, overNative, raw, write } from "../../../support/fixtures/Environments.ts"
import { temporaryFolder } from "../../../support/fixtures/GoldenEnvironments.ts"
import { pairKey, put, theirs } from "../../../support/fixtures/ShadowEnvironments.ts"
import { object, objectOf, ofDbis } from "../../../support/fixtures/Snapshots.ts"

/** What the application has: the copy main → shadow before a merge is none of it. */
const mains = Effect.map(raw, (dbis) => dbis.filter(({ name }) => !name.startsWith("_sync_")))

const refuses = Effect.fnUntraced(function* (snapshot: Uint8Array, what: string) {
  const before = yield* mains
  const error = (yield* Effect.flip(merge(snapshot))) as DatabaseError
  assert.strictEqual(error.reaction, "quarantine: refused", error.message)
  assert.include(error.message, what)
  assert.deepStrictEqual(yield* mains, before)
})

const fixed = DbiFlags.DUPSORT | DbiFlags.DUPFIXED

/** As docs/lmdb-calls.md lists them. */
const codesOfContent = [
  "MDB_BAD_VALSIZE",
  "MDB_KEYEXIST",
  "MDB_INCOMPATIBLE",
  "MDB_DBS_FULL",
  "MDB_PAGE_FULL",
  "MDB_CURSOR_FULL",
  "MDB_TXN_FULL",
  "MDB_CORRUPTED",
  "MDB_PROBLEM"
]

/** Without a code it does not fail. */
const failAtSecondPut = (transaction: WriteTransaction, code: string | undefined): WriteTransaction => {
  const { put } = transaction
  let puts = 0
  return Object.assign(transaction, {
    put: (...parameters: Parameters<typeof put>) => {
      if (code !== undefined && ++puts === 2)
        throw new LmdbError({ path: "data.mdb", reason: new LmdbFailure({ code, detail: "injected" }) })
      put(...parameters)
    }
  })
}

const pairs = (name: string, flags: number, ...values: ReadonlyArray<string>) =>
  objectOf(
    ofDbis([
      theirs(
        name,
        values.map((value) => [pairKey("k", value), 9, value]),
        flags
      )
    ])
  )

describe("A snapshot that LMDB cannot take is refused", () => {
  it.live("native mode: a NUL in a name, a plain key of the root, more DBIs than max_dbs", () =>
    Effect.gen(function* () {
      const { lmdb, ...rest } = nativeOptions(`${yield* temporaryFolder}/data.mdb`)
      const options = { ...rest, lmdb: { ...lmdb, maxDbs: 2 } }
      const application = yield* LmdbApplication.make({ path: lmdb.path, mapSize: 2 ** 24 })
      yield* application.write(
        { do: "create", dbi: "d", flags: 0 },
        { do: "root", key: Buffer.from("plain").toString("hex"), value: "00" }
      )
      yield* Effect.gen(function* () {
        const line = [["k", 9, "v"]] as const
        yield* refuses(object({ "d\0x": line }), "a NUL byte")
        yield* refuses(object({ plain: line }), 'the root of the LMDB has a plain key "plain"')
        yield* refuses(
          object({ a: line, b: line }),
          "with its DBIs there would be 3, more than options.max_dbs, 2: raise options.max_dbs, and restart"
        )
        yield* merge(object({ a: line }))
      }).pipe(Effect.provide(overNative(options)))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("shadow mode: a plain key of the root under the name of a shadow, more DBIs and shadows than max_dbs", () =>
    Effect.gen(function* () {
      const shadow = { dupsortHack: false, createFlags: {} }
      const { lmdb, ...rest } = nativeOptions(`${yield* temporaryFolder}/data.mdb`, { shadow })
      const options = { ...rest, lmdb: { ...lmdb, maxDbs: 4 } }
      const application = yield* LmdbApplication.make({ path: lmdb.path, mapSize: 2 ** 24 })
      yield* application.write(
        { do: "create", dbi: "d", flags: 0 },
        { do: "root", key: Buffer.from("_sync_shadow_plain").toString("hex"), value: "00" }
      )
      yield* Effect.gen(function* () {
        const line = [["k", 9, "v"]] as const
        yield* refuses(object({ plain: line }), 'the root of the LMDB has a plain key "_sync_shadow_plain"')
        yield* refuses(object({ a: line, b: line }), "there would be 6, shadows included, more than options.max_dbs, 4")
        yield* merge(object({ a: line }))
      }).pipe(Effect.provide(overNative(options)))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("an entry that is larger than the map: it is refused before it is held, not waited for", () =>
    Effect.gen(function* () {
      const { lmdb, ...rest } = nativeOptions(`${yield* temporaryFolder}/data.mdb`)
      const options = { ...rest, lmdb: { ...lmdb, mapSize: 2 ** 20 } }
      yield* Effect.gen(function* () {
        const snapshot = object({ d: [["k", 9, "v".repeat(2 ** 25)]] })
        yield* refuses(snapshot, "and the LMDB's map has 1048576 in all: raise the map size and restart")
        yield* merge(object({ d: [["k", 9, "v".repeat(2 ** 18)]] }))
      }).pipe(Effect.provide(overNative(options)))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live(
    "shadow mode: values of another size than the others of a MDB_DUPFIXED DBI, and flags without MDB_DUPSORT",
    () =>
      Effect.gen(function* () {
        const shadow = { dupsortHack: true, createFlags: {} }
        yield* Effect.gen(function* () {
          yield* write(put("p", { k: "four", l: "more" }, fixed))
          yield* refuses(pairs("p", fixed, "eightbyt"), "those of the MDB_DUPFIXED DBI have 4")
          yield* refuses(pairs("new", fixed, "four", "seven77"), "those of the MDB_DUPFIXED DBI have 4")
          yield* refuses(objectOf(ofDbis([theirs("x", [["k", 9, "v"]], DbiFlags.DUPFIXED)])), "without MDB_DUPSORT")
          yield* merge(pairs("p", fixed, "same"))
        }).pipe(Effect.provide(overNative(nativeOptions(`${yield* temporaryFolder}/data.mdb`, { shadow }))))
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("with merge_lock_duration as well: nothing of the DBIs before it is written", () =>
    Effect.gen(function* () {
      const options = nativeOptions(`${yield* temporaryFolder}/data.mdb`, {
        shadow: { dupsortHack: true, createFlags: {} },
        mergeLockMillis: 1
      })
      const many = Array.from({ length: 20_000 }, (_, i) => [String(i).padStart(8, "0"), 9, "v"] as const)
      yield* Effect.gen(function* () {
        yield* write(put("p", [["k", "four"]], fixed))
        const pair = (value: string) => theirs("p", [[pairKey("k", value), 9, value]], fixed)
        const snapshot = (value: string) => objectOf(ofDbis([theirs("first", many), pair(value)]))
        yield* refuses(snapshot("eightbyt"), "those of the MDB_DUPFIXED DBI have 4")
        assert.isAbove((yield* merge(snapshot("same"))).transactions, 2)
      }).pipe(Effect.provide(overNative(options)))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a DBI that was dropped: its values have the size of those in its shadow", () =>
    Effect.gen(function* () {
      const options = nativeOptions(`${yield* temporaryFolder}/data.mdb`, {
        shadow: { dupsortHack: true, createFlags: {} }
      })
      yield* Effect.gen(function* () {
        yield* write(put("p", [["k", "four"]], fixed))
        yield* merge(pairs("p", fixed, "same"))
        yield* write((transaction) => transaction.drop(DbiName.fromText("p")))
        yield* refuses(pairs("p", fixed, "eightbyt"), "those of the MDB_DUPFIXED DBI have 4")
        yield* merge(pairs("p", fixed, "more"))
        const main = (yield* mains).find(({ name }) => name === "p")
        assert.deepStrictEqual(
          main?.entries.map(({ value }) => Buffer.from(value, "hex").toString()),
          ["four", "more", "same"]
        )
      }).pipe(Effect.provide(overNative(options)))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("for whatever else LMDB says of what is put; other errors are the environment's", () =>
    Effect.gen(function* () {
      const options = nativeOptions(`${yield* temporaryFolder}/data.mdb`)
      let code: string | undefined
      const failing = replacing(LmdbNative.layerWith(options.lmdb), (inner) => ({
        write: (body) => inner.write((transaction) => body(failAtSecondPut(transaction, code)))
      }))
      yield* Effect.gen(function* () {
        const snapshot = object({
          d: [
            ["k", 9, "v"],
            ["l", 9, "v"]
          ]
        })
        yield* merge(object({ d: [["here", 5, "v"]] }))
        for (code of codesOfContent)
          yield* refuses(snapshot, `it cannot be put into the LMDB: LMDB data.mdb: LMDB failed with ${code}: injected`)
        for (code of ["EIO", "MDB_PANIC", "MDB_BAD_TXN"]) {
          const before = yield* mains
          const error = (yield* Effect.flip(merge(snapshot))) as DatabaseError
          assert.strictEqual(error.reaction, "end", error.message)
          assert.deepStrictEqual(yield* mains, before)
        }
        code = undefined
        assert.strictEqual((yield* merge(snapshot)).entriesWritten, 2)
      }).pipe(Effect.provide(over(failing, options, CompressionSync.layer)))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
