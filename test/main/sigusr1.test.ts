/** SIGUSR1, which programs that rotate logs send: Node would listen for a debugger, for every user of the host. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { startSide } from "../support/DaemonSide.ts"

layer(NodeServices.layer, { excludeTestServices: true })("a daemon that gets SIGUSR1", (it) => {
  // With the second it does not start again with flags of its own.
  for (const env of [{}, { MALLOC_MMAP_THRESHOLD_: "131072" }]) {
    it.effect(`opens no debugger, and goes on (${Object.keys(env).join("") || "as it is started"})`, () =>
      Effect.gen(function* () {
        const { application, daemon } = yield* startSide({}, { env })
        yield* daemon.logged("Initial sync complete")
        yield* Effect.sync(() => process.kill(daemon.pid, "SIGUSR1"))
        yield* application.put("after", "1", 2n)
        yield* daemon.logged("Stored snapshot", (line) => line["entries"] === 2)
        yield* daemon.signal("SIGTERM")
        assert.strictEqual(yield* daemon.ended, 0)
        assert.notInclude(daemon.text(), "ebugger")
      })
    )
  }
})
