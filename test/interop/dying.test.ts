/**
 * Ends that nobody asked for: in the middle of a transaction, without a thread, without a disk. What others have stays
 * as it was.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as LmdbNative from "../../src/layers/lmdb/native/LmdbNative.ts"
import { Lmdb } from "../../src/services/Lmdb.ts"
import { read } from "../support/fixtures/Golden.ts"
import { largeObject } from "../support/fakes/DatabaseLayers.ts"
import { optionsOf } from "../support/fakes/LmdbNativeSubject.ts"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import { fullDisk, leftBytes, onFullDisk } from "../support/Confinement.ts"

const makeFolder = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "dying-" })
  yield* fs.makeDirectory(`${directory}/bucket`)
  return directory
})

/** Puts a snapshot of `main` there whole, as another instance's daemon does. */
const deliver = Effect.fnUntraced(function* (directory: string, bytes: Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const name = `${directory}/bucket/main__other__20250101-000000-000000000__GX.pb.gz`
  yield* fs.writeFile(`${name}.tmp`, bytes)
  yield* fs.rename(`${name}.tmp`, name)
})

/** Of the DBI of `largeObject`; undefined when it is not there. */
const entriesOf = (path: string) =>
  Effect.flatMap(Lmdb, ({ read }) => Effect.scoped(read)).pipe(
    Effect.map(({ dbis }) => dbis.find(({ name }) => name === "d")?.entries),
    Effect.provide(LmdbNative.layerWith(optionsOf(path, { create: false })), { local: true })
  )

const configOf = (directory: string, lmdbs: object, settings: object = {}) => ({
  ...Daemon.quick,
  instance: "ours",
  lmdbs,
  storage: Daemon.folderBucket(`${directory}/bucket`),
  ...settings
})

/** In each thread of the command but the first: ends the thread when that file is there. */
const endThreadsAt = (file: string) => {
  const source = `import { isMainThread } from "node:worker_threads"
    import { existsSync } from "node:fs"
    if (!isMainThread) setInterval(() => { if (existsSync(${JSON.stringify(file)})) process.exit(1) }, 20)`
  return `--import data:text/javascript,${encodeURIComponent(source)}`
}

layer(NodeServices.layer, { excludeTestServices: true })("a daemon", (it) => {
  it.effect(
    "that is killed with -9 in a write transaction leaves all of it or nothing, and no lock: after the next start all is there",
    () =>
      Effect.gen(function* () {
        const entries = 500_000
        const directory = yield* makeFolder
        const path = `${directory}/main.lmdb`
        const application = yield* Application.open(path, 2 ** 28)
        yield* application.put("ours", "1", 1n)
        const config = configOf(
          directory,
          { main: Daemon.nativeFile(path) },
          { log: { ...Daemon.quick.log, level: "debug" } }
        )
        const daemon = yield* Daemon.start({ args: ["sync"], config })
        yield* daemon.logged("Initial sync complete")
        const from = daemon.log.length
        // It waits for the lock, is let in, and has that many entries to put, which takes a second.
        yield* application.send({ do: "hold" })
        yield* deliver(directory, largeObject(entries))
        yield* daemon.logged("asking for the write lock", undefined, from)
        yield* application.send({ do: "letGo" })
        yield* Effect.sleep(100)
        yield* daemon.signal("SIGKILL")
        assert.strictEqual(yield* daemon.ended, 137)
        yield* application.put("after", "1", 2n)
        assert.deepStrictEqual(yield* application.records, { ours: "1", after: "1" })
        assert.include([undefined, entries], yield* entriesOf(path))
        const next = yield* Daemon.start({ args: ["sync"], config })
        yield* next.logged("Loaded remote update", (line) => line["entries_read"] === entries)
        yield* next.signal("SIGTERM")
        assert.strictEqual(yield* next.ended, 0)
        assert.strictEqual(yield* entriesOf(path), entries)
      })
  )

  it.effect(
    "one of whose threads dies says so, and kills itself: its LMDBs cannot be opened again in the same process",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* makeFolder
        const path = `${directory}/main.lmdb`
        const application = yield* Application.open(path)
        yield* application.put("ours", "1", 1n)
        const env = { NODE_OPTIONS: endThreadsAt(`${directory}/end`) }
        const daemon = yield* Daemon.start({
          args: ["sync"],
          config: configOf(directory, { main: Daemon.nativeFile(path) }),
          env
        })
        yield* daemon.logged("Initial sync complete")
        yield* fs.writeFileString(`${directory}/end`, "")
        assert.strictEqual(yield* daemon.ended, 137)
        yield* daemon.logged("Fatal error", ({ error }) => error?.includes("the worker thread ended") === true)
        yield* daemon.logged("Killing the process: a worker thread is lost")
        yield* application.put("after", "1", 2n)
        assert.deepStrictEqual(yield* application.records, { ours: "1", after: "1" })
      })
  )
})

describeWith("a full disk", await fullDisk(), () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect(
      "under an LMDB ends the daemon with 1, and says what to do, when the other databases have sent what was unsent",
      () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const directory = yield* makeFolder
          yield* fs.makeDirectory(`${directory}/disk`)
          const application = yield* Application.open(`${directory}/other.lmdb`)
          yield* application.put("first", "1", 1n)
          const lmdbs = {
            main: Daemon.nativeFile(`${directory}/disk/main.lmdb`, { create: true }),
            other: Daemon.nativeFile(`${directory}/other.lmdb`)
          }
          // The second change is not sent before the end.
          const config = configOf(directory, lmdbs, { lmdb_poll_interval: "10m" })
          const daemon = yield* Daemon.start({ under: onFullDisk(`${directory}/disk`), args: ["sync"], config })
          yield* daemon.logged("Stored snapshot", ({ db, entries }) => db === "other" && entries === 1)
          yield* eventually(
            "both are ready",
            Effect.sync(() =>
              daemon.log.filter(({ msg }) => msg.startsWith("Initial sync complete")).length === 2 ? true : undefined
            )
          )
          yield* application.put("second", "1", 2n)
          const snapshot = yield* read("ok/native-pdns.pb.gz")
          assert.isAbove(snapshot.length, leftBytes)
          yield* deliver(directory, snapshot)
          assert.strictEqual(yield* daemon.ended, 1, daemon.text())
          const { error } = yield* daemon.logged("Fatal error")
          assert.include(error!, `merge of database "main": LMDB ${directory}/disk/main.lmdb: LMDB failed with E`)
          assert.include(error!, "If the disk is full, free space there and start again")
          yield* daemon.logged("Stored snapshot", ({ db, entries }) => db === "other" && entries === 2)
        })
    )
  })
})
