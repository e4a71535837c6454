/**
 * A DBI whose keys are in another order than its flags say: its application sorts them by a function of its own.
 * Whatever walks it says so, and nothing is written: not to the LMDB, and not to the bucket.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the file is compared
import * as fs from "node:fs"
import * as DbiFlags from "../../../src/domain/lmdb/DbiFlags.ts"
import { Database, DatabaseError, type DatabaseOptions } from "../../../src/services/Database.ts"
import * as LmdbApplication from "../../support/fakes/LmdbApplication.ts"
import { dump, merge, nativeOptions, overNative } from "../../support/fixtures/Environments.ts"
import { temporaryFolder } from "../../support/fixtures/GoldenEnvironments.ts"
import { hideFlags } from "../../support/fixtures/lmdb/OwnKeyOrder.ts"
import { nativeValue, object } from "../../support/fixtures/Snapshots.ts"

const hex = (text: string) => Buffer.from(text).toString("hex")

/** Enough for several pages. They rise when they are read from their ends, but not from their beginnings. */
const keys = Array.from({ length: 500 }, (_, i) => `${(i * 7) % 10}-${String(i).padStart(4, "0")}`)

type Application = Effect.Success<ReturnType<typeof LmdbApplication.make>>

const puts = (dbi: string, native: boolean) =>
  keys.map((key) => {
    const value = native ? nativeValue(5, "mine").toString("hex") : hex("mine")
    return { do: "put", dbi, key: hex(key), value } as const
  })

/** DBI `own`, at first with one key, which is in any order; with `show` the others follow. */
const start = Effect.fnUntraced(function* (path: string, native: boolean) {
  const application = yield* LmdbApplication.make({ path, mapSize: 2 ** 24 })
  yield* application.write(
    { do: "create", dbi: "sorted", flags: 0 },
    { do: "create", dbi: "own", flags: 0 },
    ...puts("sorted", native),
    puts("own", native)[0]!
  )
  return application
})

const show = Effect.fnUntraced(function* (path: string, application: Application, native: boolean) {
  yield* application.write(
    { do: "drop", dbi: "own" },
    { do: "create", dbi: "own", flags: DbiFlags.REVERSEKEY },
    ...puts("own", native)
  )
  hideFlags(path, "own")
})

const expectRefusal = (name: string, error: Error) => {
  if (error instanceof DatabaseError) assert.strictEqual(error.reaction, "end", name)
  assert.match(error.message, /DBI "own", key 0x[0-9a-f]+: .*key order of its own \(mdb_set_compare\)/, name)
}

/** What is done fails, and leaves the file as it is, byte for byte. */
const refuses = Effect.fnUntraced(function* <A, E extends Error, R>(
  options: DatabaseOptions,
  name: string,
  use: Effect.Effect<A, E, R>
) {
  const before = fs.readFileSync(options.lmdb.path)
  expectRefusal(name, yield* Effect.flip(use))
  assert.isTrue(before.equals(fs.readFileSync(options.lmdb.path)), name)
})

const sweep = Effect.flatMap(Database, (database) =>
  database.sweep({ olderThanNano: 3n, lockMillis: 50, releaseMillis: 1 })
)

/** Snapshots that bring one key, which a search by LMDB's order finds no place for, or a wrong one. */
const snapshots = ["", "0-0500", "5-0", keys.at(-1)!, "z"].map((key) =>
  object({ own: key === "" ? [] : [[key, 9, "theirs"]], other: [["k", 9, "v"]] })
)

describe("A DBI with a key order of its application's", () => {
  it.live("native mode: nothing is merged into it, sent or swept, whether it shows at the start or later", () =>
    Effect.gen(function* () {
      for (const [later, deltas] of [
        [false, false],
        [true, false],
        [true, true]
      ] as const) {
        const options = nativeOptions(`${yield* temporaryFolder}/data.mdb`, { deltas })
        const { path } = options.lmdb
        const application = yield* start(path, true)
        if (!later) yield* show(path, application, true)
        yield* Effect.gen(function* () {
          if (later) {
            yield* merge(snapshots[1]!)
            yield* dump()
            yield* show(path, application, true)
          }
          for (const [i, snapshot] of snapshots.entries()) yield* refuses(options, `merge ${i}`, merge(snapshot))
          yield* refuses(options, "dump", dump())
          yield* refuses(options, "sweep", sweep)
          yield* refuses(
            options,
            "newest",
            Effect.flatMap(Database, (database) => database.newest)
          )
          // What brings nothing to that DBI is merged.
          assert.deepInclude(yield* merge(object({ sorted: [["k", 9, "v"]] })), { entriesWritten: 1 })
        }).pipe(Effect.provide(overNative(options)))
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("shadow mode: it is not opened, or copied no more, and neither DBI nor shadow is written", () =>
    Effect.gen(function* () {
      for (const later of [false, true]) {
        const shadow = { dupsortHack: false, createFlags: {} }
        const options = nativeOptions(`${yield* temporaryFolder}/data.mdb`, { shadow })
        const { path } = options.lmdb
        const application = yield* start(path, false)
        if (!later) {
          yield* show(path, application, false)
          yield* refuses(options, "open", Effect.provide(Effect.asVoid(Database), overNative(options)))
          continue
        }
        yield* Effect.gen(function* () {
          yield* merge(snapshots[1]!)
          yield* dump()
          yield* show(path, application, false)
          for (const [i, snapshot] of snapshots.entries()) yield* refuses(options, `merge ${i}`, merge(snapshot))
          yield* refuses(options, "dump", dump())
        }).pipe(Effect.provide(overNative(options)))
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
