/** Readers that were killed while they read, in LMDB's own table: a second process, with an LMDB of files. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as Logs from "../../../src/layers/logs/Logs.ts"
import * as DeadReaders from "../../../src/programs/sync/DeadReaders.ts"
import { SyncState } from "../../../src/programs/sync/SyncState.ts"
import { Database } from "../../../src/services/Database.ts"
import * as LmdbApplication from "../../support/fakes/LmdbApplication.ts"
import { nativeOptions, overNative } from "../../support/fixtures/Environments.ts"

interface Cleared {
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A reader that was killed while it read. */
const killed = Effect.fnUntraced(function* (opening: LmdbApplication.Opening) {
  const reader = yield* LmdbApplication.make(opening)
  yield* reader.send({ do: "view" })
  yield* Effect.asVoid(reader.kill)
})

/** The loop of a database beside an application. */
const start = Effect.fnUntraced(function* (
  before: (opening: LmdbApplication.Opening) => ReturnType<typeof killed> | Effect.Effect<void> = () => Effect.void
) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped({ prefix: "readers-" })}/main.lmdb`
  const opening = { path, mapSize: 2 ** 20 }
  const writer = yield* LmdbApplication.make(opening)
  yield* writer.write({ do: "create", dbi: "d", flags: 0 }, { do: "put", dbi: "d", key: "6b", value: "00".repeat(24) })
  yield* before(opening)
  const database = Context.get(yield* Layer.build(overNative(nativeOptions(path))), Database)
  const log: Array<Cleared> = []
  const logger = Logger.make<unknown, void>(
    (event) => void log.push(Logs.lineOf(event, { secondsSinceStart: 0, stacks: false }))
  )
  const options = {
    database: "main",
    instance: "a",
    hostname: "h",
    receiveOnly: false,
    onlyOnce: false,
    acceptStale: false,
    keepLast: true
  }
  yield* Effect.forkScoped(Effect.provide(DeadReaders.run(new SyncState(options, database)), Logger.layer([logger])))
  const readers = Effect.map(database.info, (info) => info.readers)
  return { database, log, opening, readers }
})

layer(NodeServices.layer)("Readers", (it) => {
  it.effect("a process that was killed while it read loses its slot within a minute, which is logged", () =>
    Effect.gen(function* () {
      const { log, opening, readers } = yield* start()
      const before = yield* readers
      yield* killed(opening)
      assert.isAbove(yield* readers, before)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* readers, before)
      assert.lengthOf(log, 1)
      const [{ fields, message }] = log as [Cleared]
      assert.strictEqual(message, "Cleared readers of dead processes")
      assert.deepStrictEqual(fields, { cleared: 1, num_readers: before, max_readers: 126 })
      // The second time there is none.
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(log, 1)
    })
  )

  it.effect("one that lives keeps its slot, and what it sees", () =>
    Effect.gen(function* () {
      const { database, log, opening, readers } = yield* start()
      const reader = yield* LmdbApplication.make(opening)
      yield* reader.send({ do: "view" })
      const during = yield* readers
      assert.strictEqual(yield* database.clearDeadReaders, 0)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* readers, during)
      assert.deepStrictEqual(log, [])
      assert.lengthOf((yield* reader.send({ do: "list", dbi: "d" })).entries, 1)
    })
  )

  it.effect("those that were killed before are gone when the LMDB is opened", () =>
    Effect.gen(function* () {
      const { database, readers } = yield* start(killed)
      const { readers: usual } = yield* start()
      assert.strictEqual(yield* readers, yield* usual)
      assert.strictEqual(yield* database.clearDeadReaders, 0)
    })
  )
})
