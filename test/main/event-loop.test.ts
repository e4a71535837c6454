/** The event loop of a running daemon's main thread: LMDB never blocks it. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import * as LoopMeter from "../../bench/LoopMeter.ts"
import { LoopReport } from "../../bench/Results.ts"
import * as Daemon from "../support/Daemon.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { read } from "../support/fixtures/Golden.ts"

const heldMillis = 3_000

const snapshot = "main__other__20250101-000000-000000000__GX.pb.gz"

const loopProbe = new URL("../../bench/loop-probe.ts", import.meta.url)

layer(NodeServices.layer, { excludeTestServices: true })("the event loop of a running daemon", (it) => {
  it.effect("has its turns while a merge waits three seconds for the write lock of another process", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "event-loop-" })
      yield* fs.makeDirectory(`${directory}/bucket`)
      const config = {
        ...Daemon.quick,
        lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`, { create: true }) },
        storage: Daemon.folderBucket(`${directory}/bucket`)
      }
      const report = `${directory}/loop.json`
      const daemon = yield* Daemon.start({ args: ["sync"], config, env: LoopMeter.environment(loopProbe, report) })
      yield* daemon.logged("Initial sync complete")
      const application = yield* LmdbApplication.make({ path: `${directory}/main.lmdb`, mapSize: 2 ** 30 })
      yield* daemon.signal(LoopMeter.resetSignal)
      yield* application.send({ do: "holdFor", millis: heldMillis })
      const began = performance.now()
      yield* fs.writeFile(`${directory}/half`, yield* read("ok/native-small.pb.gz"))
      yield* fs.rename(`${directory}/half`, `${directory}/bucket/${snapshot}`)
      yield* daemon.logged("Loaded remote update")
      assert.isAtLeast(performance.now() - began, 0.9 * heldMillis)
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 0, daemon.text())
      const text = yield* fs.readFileString(report)
      const { loopBlockedMillis } = yield* Schema.decodeEffect(Schema.fromJsonString(LoopReport))(text)
      // With LMDB in that thread it is all of it.
      assert.isBelow(loopBlockedMillis, 0.2 * heldMillis)
    })
  )
})
