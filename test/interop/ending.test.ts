/**
 * How the command ends when it is told to: what is unsent is sent, and nothing that others hold or wait for is left
 * locked.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { read } from "../support/fixtures/Golden.ts"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"

const snapshot = "main__other__20250101-000000-000000000__GX.pb.gz"

/** An application, and a daemon beside it that is ready. `settings` win. */
const startSide = Effect.fnUntraced(function* (settings: object = {}) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "ending-" })
  const bucket = `${folder}/bucket`
  yield* fs.makeDirectory(bucket)
  const path = `${folder}/main.lmdb`
  const application = yield* Application.open(path)
  yield* application.put("ours", "1", 1n)
  const config = {
    ...Daemon.quick,
    instance: "ours",
    lmdbs: { main: Daemon.nativeFile(path) },
    storage: Daemon.folderBucket(bucket),
    ...settings
  }
  const start = Daemon.start({ args: ["sync"], config })
  return { application, bucket, config, daemon: yield* start, start }
})

const debugging = { log: { ...Daemon.quick.log, level: "debug" } }

/** Puts the snapshot there whole, as another instance's daemon does. */
const deliver = Effect.fnUntraced(function* (bucket: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFile(`${bucket}/${snapshot}.tmp`, yield* read("ok/native-small.pb.gz"))
  yield* fs.rename(`${bucket}/${snapshot}.tmp`, `${bucket}/${snapshot}`)
})

/** The daemon is in a merge that waits for the write lock, which the application holds. */
const startWaiting = Effect.gen(function* () {
  const side = yield* startSide(debugging)
  const { application, bucket, daemon } = side
  yield* daemon.logged("Ready")
  yield* application.send({ do: "hold" })
  yield* deliver(bucket)
  const downloaded = yield* daemon.logged("Snapshot downloaded")
  yield* daemon.logged("asking for the write lock", undefined, daemon.log.indexOf(downloaded))
  return side
})

layer(NodeServices.layer, { excludeTestServices: true })("a daemon that is told to end", (it) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.effect(`by ${signal} with a change that no poll has seen yet: sends it and ends with 0`, () =>
      Effect.gen(function* () {
        // No poll comes in between.
        const { application, daemon } = yield* startSide({ lmdb_poll_interval: "10m" })
        yield* daemon.logged("Ready")
        yield* application.put("unsent", "1", 2n)
        yield* daemon.signal(signal)
        assert.strictEqual(yield* daemon.ended, 0)
        yield* daemon.logged("Stored snapshot", (line) => line["entries"] === 2)
      })
    )
  }

  it.effect("while its bucket cannot be reached: ends with 1 and says that something is left unsent", () =>
    Effect.gen(function* () {
      // Nothing listens there.
      const options = { endpoint_url: "http://127.0.0.1:1", access_key: "a", secret_key: "s", bucket: "b" }
      const { daemon } = yield* startSide({ storage: { type: "s3", options } })
      const problem = yield* daemon.logged("Cannot list snapshots")
      assert.match(problem.error!, /127\.0\.0\.1:1.*ECONNREFUSED/)
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 1)
      yield* daemon.logged("unsent")
    })
  )

  it.effect("while another process holds the write lock that nothing of ours waits for: ends with 0", () =>
    Effect.gen(function* () {
      const { application, daemon } = yield* startSide()
      yield* daemon.logged("Ready")
      yield* application.send({ do: "hold" })
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 0)
      yield* application.send({ do: "letGo" })
      yield* application.put("after", "1", 2n)
    })
  )

  it.effect(
    "while it waits for the write lock that another process holds: kills itself, and leaves the lock to others",
    () =>
      Effect.gen(function* () {
        const { application, daemon, start } = yield* startWaiting
        yield* daemon.signal("SIGTERM")
        assert.strictEqual(yield* daemon.ended, 137)
        yield* daemon.logged("Killing the process")
        yield* application.send({ do: "letGo" })
        // The lock is free, and nothing of the merge is there.
        yield* application.put("after", "1", 2n)
        assert.deepStrictEqual(yield* application.records, { ours: "1", after: "1" })
        const next = yield* start
        yield* next.logged("Loaded remote update")
        yield* next.logged("Ready")
        assert.lengthOf((yield* application.send({ do: "list", dbi: "uhcxcw" })).entries, 10)
      })
  )

  it.effect("twice at once, as `timeout` does it: ends in order", () =>
    Effect.gen(function* () {
      const { application, daemon } = yield* startWaiting
      yield* daemon.signal("SIGTERM")
      yield* Effect.sleep("20 millis")
      yield* daemon.signal("SIGTERM")
      yield* daemon.logged("Stopping")
      yield* application.send({ do: "letGo" })
      assert.strictEqual(yield* daemon.ended, 0)
    })
  )

  it.effect("twice: ends at once, with 137", () =>
    Effect.gen(function* () {
      const { application, daemon } = yield* startWaiting
      yield* daemon.signal("SIGTERM")
      yield* daemon.logged("Stopping")
      yield* Effect.sleep("600 millis")
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 137)
      yield* daemon.logged("a second signal")
      yield* application.send({ do: "letGo" })
      yield* application.put("after", "1", 2n)
    })
  )
})
