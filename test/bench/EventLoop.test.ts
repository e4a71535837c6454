/** What the benchmark tells of the event loop: a thread that is held up counts, one that sleeps does not. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { ChildProcess } from "effect/process"
import { gapsDuring } from "../../bench/EventLoop.ts"
import { readTogether } from "../../bench/LoopMeter.ts"

const millis = 400

/** Waits in the middle of a turn, as for a lock. */
const waits = Effect.sync(() => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis))

const computes = Effect.sync(() => {
  const end = performance.now() + millis
  while (performance.now() < end);
})

/** As by a machine that stands still. */
const stopped = Effect.gen(function* () {
  const script = `sleep 0.1; kill -STOP ${process.pid}; sleep ${millis / 1_000}; kill -CONT ${process.pid}`
  assert.strictEqual(Number(yield* (yield* ChildProcess.make("sh", ["-c", script])).exitCode), 0)
}).pipe(Effect.scoped)

/** This process's main thread, on one core with three processes that want all of it. */
const crowded = Effect.fnUntraced(function* <A, E, R>(use: Effect.Effect<A, E, R>) {
  const fs = yield* FileSystem.FileSystem
  const cores = /Cpus_allowed_list:\s*(\S+)/.exec(yield* fs.readFileString("/proc/self/status"))![1]!
  const core = /^\d+/.exec(cores)![0]
  const pin = Effect.fnUntraced(function* (to: string) {
    assert.strictEqual(
      Number(yield* (yield* ChildProcess.make("taskset", ["-pc", to, String(process.pid)])).exitCode),
      0
    )
  }, Effect.scoped)
  for (let count = 0; count < 3; count++)
    yield* ChildProcess.make("taskset", ["-c", core, "sh", "-c", "while :; do :; done"])
  yield* Effect.acquireRelease(pin(core), () => Effect.orDie(pin(cores)))
  return yield* use
}, Effect.scoped)

describe("longest time that the event loop is blocked", () => {
  it.live("has a wait and a computation in it, also at the very end", () =>
    Effect.gen(function* () {
      const between = Effect.sleep("20 millis")
      for (const use of [waits, Effect.andThen(waits, between)]) {
        const { loopBlockedMillis, loopGapMillis } = yield* gapsDuring(use)
        assert.isAtLeast(loopGapMillis, millis - 5)
        assert.isAtLeast(loopBlockedMillis, millis / 2)
      }
      const { loopBlockedMillis } = yield* gapsDuring(Effect.andThen(computes, between))
      // Less what others had of the core meanwhile.
      assert.isAtLeast(loopBlockedMillis, millis / 4)
    })
  )

  it.live("has no time in it for which the thread was ready and had no core", () =>
    Effect.gen(function* () {
      const { loopBlockedMillis, loopGapMillis } = yield* crowded(gapsDuring(computes))
      assert.isAtLeast(loopGapMillis, millis - 5)
      assert.isBelow(loopBlockedMillis, millis / 2)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it("is read again when the thread waited for a core in the middle of a look", () => {
    const waits = [3, 20, 20, 20]
    const times = [100, 117]
    assert.deepStrictEqual(
      readTogether(
        () => ({ now: times.shift() }),
        () => waits.shift()!
      ),
      { now: 117, waited: 20 }
    )
  })

  it.live("has no time in it for which the loop slept, even when it is woken late", () =>
    Effect.gen(function* () {
      const once = Effect.map(gapsDuring(stopped), ({ loopBlockedMillis, loopGapMillis }) => {
        assert.isAtLeast(loopGapMillis, millis / 2)
        return loopBlockedMillis
      })
      // Now and then the signal comes while it does not sleep.
      const blocked = yield* Effect.replicateEffect(once, 4)
      assert.isBelow(Math.min(...blocked), millis / 4)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
