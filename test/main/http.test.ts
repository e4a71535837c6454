/** The HTTP server of a daemon in a process: when it serves, and that it does not get in the way. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Daemon from "../support/Daemon.ts"
import { addressOf, get, healthOf, untilMetric } from "../support/HttpPages.ts"

const makeConfig = Effect.fnUntraced(function* (address: string) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "http-" })
  yield* fs.makeDirectory(`${directory}/bucket`)
  const config = {
    ...Daemon.quick,
    instance: "a",
    lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`, { create: true }) },
    storage: Daemon.folderBucket(`${directory}/bucket`),
    http: { address }
  }
  return { config, directory }
})

layer(NodeServices.layer, { excludeTestServices: true })("the HTTP server of a daemon", (it) => {
  it.effect("serves health and metrics until the daemon ends, which an open connection does not delay", () =>
    Effect.gen(function* () {
      const { config } = yield* makeConfig("127.0.0.1:0")
      const daemon = yield* Daemon.start({ config, args: ["sync"] })
      const address = yield* addressOf(daemon)
      yield* daemon.logged("Initial sync complete")
      assert.deepInclude(yield* healthOf(address), { code: 200, ok: true, status: "OK", failures: {}, warnings: {} })
      yield* untilMetric(address, "lightningstream_ready", { lmdb: "main" }, (value) => value === 1)
      assert.strictEqual((yield* get(address, "/nothing")).status, 404)
      // Another address of this machine.
      const elsewhere = yield* Effect.flip(get(address.replace("127.0.0.1", "127.0.0.2"), "/healthz"))
      assert.include(elsewhere.detail, "fetch failed")
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 0)
    })
  )

  it.effect("an address that cannot be had ends the start with 1, before any LMDB is opened", () =>
    Effect.gen(function* () {
      const { config: first } = yield* makeConfig("127.0.0.1:0")
      const address = yield* addressOf(yield* Daemon.start({ config: first, args: ["sync"] }))
      const { config, directory } = yield* makeConfig(address)
      const { code, log } = yield* Daemon.run({ config, args: ["sync"] })
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(
        log.map(({ error, level }) => [level, error]),
        [["error", `http.address: cannot listen on ${address} (EADDRINUSE): another process listens there`]]
      )
      assert.isFalse(yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.exists(`${directory}/main.lmdb`)))
    })
  )

  it.effect("with --only-once there is none, and none before the object of --wait-for-marker-file is there", () =>
    Effect.gen(function* () {
      const { config, directory } = yield* makeConfig("192.0.2.1:1")
      assert.strictEqual((yield* Daemon.run({ config, args: ["sync", "--only-once"] })).code, 0)
      const waiting = yield* Daemon.start({
        config: { ...config, http: { address: "127.0.0.1:0" } },
        args: ["sync", "--wait-for-marker-file", "go"]
      })
      yield* waiting.logged("Waiting for the marker file")
      yield* Effect.sleep("300 millis")
      assert.notInclude(waiting.text(), "Serving")
      yield* (yield* FileSystem.FileSystem).writeFileString(`${directory}/bucket/go`, "")
      yield* addressOf(waiting)
    })
  )
})
