/**
 * How the command ends when it is told to: what is unsent is sent, and nothing that others hold or wait for is left
 * locked.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { startSide, startWaiting } from "../support/DaemonSide.ts"

layer(NodeServices.layer, { excludeTestServices: true })("a daemon that is told to end", (it) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.effect(`by ${signal} with a change that no poll has seen yet: sends it and ends with 0`, () =>
      Effect.gen(function* () {
        // No poll comes in between.
        const { application, daemon } = yield* startSide({ lmdb_poll_interval: "10m" })
        yield* daemon.logged("Initial sync complete")
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
      yield* daemon.logged("Pending changes were not sent")
    })
  )

  it.effect("while another process holds the write lock that nothing of ours waits for: ends with 0", () =>
    Effect.gen(function* () {
      const { application, daemon } = yield* startSide()
      yield* daemon.logged("Initial sync complete")
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
        const { application, daemon, start } = yield* startWaiting()
        yield* daemon.signal("SIGTERM")
        assert.strictEqual(yield* daemon.ended, 137)
        yield* daemon.logged("Killing the process")
        yield* application.send({ do: "letGo" })
        // The lock is free, and nothing of the merge is there.
        yield* application.put("after", "1", 2n)
        assert.deepStrictEqual(yield* application.records, { ours: "1", after: "1" })
        const next = yield* start
        yield* next.logged("Loaded remote update")
        yield* next.logged("Initial sync complete")
        assert.lengthOf((yield* application.send({ do: "list", dbi: "uhcxcw" })).entries, 10)
      })
  )

  it.effect("twice at once, as `timeout` does it: ends in order", () =>
    Effect.gen(function* () {
      const { application, daemon } = yield* startWaiting()
      // Two of one kind would be one to the kernel.
      yield* Effect.andThen(daemon.signal("SIGTERM"), daemon.signal("SIGINT"))
      yield* daemon.logged("Shutting down")
      yield* application.send({ do: "letGo" })
      assert.strictEqual(yield* daemon.ended, 0)
    })
  )

  it.effect("twice: ends at once, with 137", () =>
    Effect.gen(function* () {
      const { application, daemon } = yield* startWaiting()
      yield* daemon.signal("SIGTERM")
      yield* daemon.logged("Shutting down")
      yield* Effect.sleep("600 millis")
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 137)
      yield* daemon.logged("a second signal")
      yield* application.send({ do: "letGo" })
      yield* application.put("after", "1", 2n)
    })
  )
})
