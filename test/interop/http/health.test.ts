/**
 * The states of /healthz, of daemons in processes: with a real S3 server and a store that never responds, and real
 * LMDBs. Each is shown, and gone when its reason is.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Application from "../../support/Application.ts"
import * as Daemon from "../../support/Daemon.ts"
import { eventually } from "../../support/Eventually.ts"
import { addressOf, healthOf } from "../../support/HttpPages.ts"
import * as FaultyProxy from "../../support/servers/FaultyProxy.ts"
import { serveRaw } from "../../support/servers/HandMadeServer.ts"
import { describeWith } from "../../support/servers/RealServers.ts"
import * as Swift from "../../support/servers/Swift.ts"
import { bucketOf } from "../../support/servers/SwiftBucket.ts"

const makeDirectory = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "health-" }))

/** Looked at often, with thresholds of seconds. */
const section = { interval: "100ms", warn_duration: "1s", error_duration: "4s" }

const health = { storage_list: section, storage_load: section, storage_store: section, start: section }

/** A daemon beside an LMDB of one megabyte, which is not there yet. `settings` win. */
const startDaemon = Effect.fnUntraced(function* (storage: object, settings: object = {}) {
  const path = `${yield* makeDirectory}/main.lmdb`
  const config = {
    ...Daemon.quick,
    instance: "a",
    lmdbs: { main: Daemon.nativeFile(path) },
    storage,
    health,
    http: { address: "127.0.0.1:0" },
    ...settings
  }
  const daemon = yield* Daemon.start({ args: ["sync"], config })
  const address = yield* addressOf(daemon)
  const state = healthOf(address)
  let seen = ""
  const until = (what: string, is: (now: Effect.Success<ReturnType<typeof healthOf>>) => boolean) =>
    eventually(
      `/healthz says ${what}`,
      Effect.map(state, (now) => {
        seen = JSON.stringify(now)
        return is(now) ? now : undefined
      }),
      () => seen
    )
  const well = until("that all is well", ({ failures, warnings }) =>
    [failures, warnings].every((checks) => Object.keys(checks).length === 0)
  )
  return {
    path,
    well: Effect.map(well, ({ code, ok, status }) => assert.deepStrictEqual([code, ok, status], [200, true, "OK"])),
    /** The text of a check that is a warning now. */
    warned: Effect.fnUntraced(function* (check: string) {
      const { code, ok, status, warnings } = yield* until(`${check} as a warning`, ({ warnings }) => check in warnings)
      assert.deepStrictEqual([code, ok, status], [200, true, "Warning"])
      return warnings[check]!
    }),
    failed: Effect.fnUntraced(function* (check: string) {
      const { code, failures, ok, status } = yield* until(`${check} as an error`, ({ failures }) => check in failures)
      assert.deepStrictEqual([code, ok, status], [503, false, "Unavailable"])
      return failures[check]!
    }),
    /** Ends the daemon in order. */
    end: Effect.andThen(
      daemon.signal("SIGTERM"),
      Effect.map(daemon.ended, (code) => assert.strictEqual(code, 0))
    ),
    ready: until("that the start is done", ({ metadata }) => metadata["startup_main"] === true),
    metadata: Effect.map(state, ({ metadata }) => metadata)
  }
})

const withApplication = Effect.fnUntraced(function* (path: string, mapSize?: number) {
  const application = yield* Application.open(path, mapSize)
  yield* application.put("first", "value", 1n)
  return application
})

describeWith("/healthz with a bucket", await Swift.installed(), (installed) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect(
      "that refuses the key: a warning, then an error, with the server's own code",
      () =>
        Effect.gen(function* () {
          const server = yield* Swift.start(installed)
          const inBucket = (options: object) =>
            bucketOf("refusing", options).pipe(Effect.provideService(Swift.Swift, server))
          const a = yield* startDaemon(yield* inBucket({ secret_key: "of another" }))
          yield* withApplication(a.path)
          const check = "main_storage_list_failed_duration"
          const pattern = /^failed to list snapshots on storage backend for \d+s - last error: '.*SignatureDoesNotMatch/
          assert.match(yield* a.warned(check), pattern)
          assert.match(yield* a.failed(check), pattern)
          assert.strictEqual((yield* a.metadata)["startup_main"], false)
        }),
      120_000
    )

    it.effect(
      "whose server takes requests and never responds: lists and stores fail, until it does",
      () =>
        Effect.gen(function* () {
          const server = yield* Swift.start(installed)
          const proxy = yield* FaultyProxy.make(server.port)
          const options = { endpoint_url: proxy.endpoint_url, client_timeout: "1s" }
          const storage = yield* bucketOf("hanging", options).pipe(Effect.provideService(Swift.Swift, server))
          const a = yield* startDaemon(storage, { storage_retry_forever: true })
          const application = yield* withApplication(a.path)
          yield* a.ready
          yield* a.well
          yield* proxy.set("hang")
          yield* application.put("first", "another", 2n)
          const store = "main_storage_store_failed_duration"
          assert.match(yield* a.failed(store), /^failed to write to storage backend for \d+s - last error: '.*timeout/i)
          const list = "main_storage_list_failed_duration"
          assert.match(yield* a.failed(list), /^failed to list snapshots on storage backend for \d+s - .*timeout/i)
          yield* proxy.set("none")
          yield* a.well
        }),
      120_000
    )
  })
})

describe("/healthz with", () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("a store whose socket never responds: the page comes all the same, and the start is not done", () =>
      Effect.gen(function* () {
        const { endpoint_url } = yield* serveRaw()
        const options = { endpoint_url, access_key: "k", secret_key: "s", bucket: "silent", client_timeout: "1s" }
        const a = yield* startDaemon({ type: "s3", options })
        yield* withApplication(a.path)
        assert.match(yield* a.failed("main_storage_list_failed_duration"), /timeout/i)
        assert.strictEqual((yield* a.metadata)["startup_main"], false)
      })
    )

    it.effect("an LMDB that is missing: a warning, until the application has made it", () =>
      Effect.gen(function* () {
        const a = yield* startDaemon(Daemon.folderBucket(yield* makeDirectory))
        assert.include(yield* a.warned("main_lmdb_missing"), a.path)
        yield* withApplication(a.path)
        yield* a.well
      })
    )

    it.effect("a map that is full: a warning with its size, until what had no room is gone", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const bucket = yield* makeDirectory
        const a = yield* startDaemon(Daemon.folderBucket(bucket))
        yield* withApplication(a.path)
        yield* a.well
        const b = yield* startDaemon(Daemon.folderBucket(bucket), { instance: "b" })
        const application = yield* withApplication(b.path, 2 ** 26)
        yield* b.well
        for (let i = 0; i < 20; i++) yield* application.put(`large ${i}`, Buffer.alloc(100_000, i), 2n)
        const full = yield* a.warned("main_map_full")
        assert.match(full, /map.* full/)
        assert.include(full, "1048576")
        // It may have more to send: what is removed must be its last.
        yield* b.end
        for (const name of yield* fs.readDirectory(bucket))
          if (name.startsWith("main__b__")) yield* fs.remove(`${bucket}/${name}`)
        yield* a.well
      })
    )

    it.effect("a snapshot that is quarantined: a warning with its name, while it is in the bucket", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const bucket = yield* makeDirectory
        const a = yield* startDaemon(Daemon.folderBucket(bucket))
        yield* withApplication(a.path)
        const name = "main__b__20250101-000000-000000000__GX.pb.gz"
        yield* fs.writeFileString(`${bucket}/${name}`, "no snapshot")
        const text = yield* a.warned("main_snapshots_set_aside")
        assert.include(text, name)
        assert.include(text, "corrupt")
        yield* fs.remove(`${bucket}/${name}`)
        yield* a.well
      })
    )

    it.effect("a start in progress: a warning, then an error, and never again once it was done", () =>
      Effect.gen(function* () {
        const start = { ...section, report_healthz: true }
        const bucket = yield* makeDirectory
        const a = yield* startDaemon(Daemon.folderBucket(bucket), { health: { ...health, start } })
        const check = "main_startup_in_progress"
        assert.match(yield* a.warned(check), /^the start is in progress for \d+s$/)
        assert.match(yield* a.failed(check), /^the start is in progress for \d+s$/)
        assert.strictEqual((yield* a.metadata)["startup_main"], false)
        yield* withApplication(a.path)
        yield* a.well
        assert.strictEqual((yield* a.metadata)["startup_main"], true)
        // A new snapshot that waits to be merged is no start.
        yield* (yield* FileSystem.FileSystem).writeFileString(
          `${bucket}/main__b__20250101-000000-000000000__GX.pb.gz`,
          "no snapshot"
        )
        yield* a.warned("main_snapshots_set_aside")
        assert.strictEqual((yield* a.metadata)["startup_main"], true)
      })
    )
  })
})
