import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Schema } from "effect"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import * as MemoryBudgetPermits from "../../../src/layers/memory/MemoryBudgetPermits.ts"
import { GarbageCollector } from "../../../src/services/GarbageCollector.ts"
import { MemoryBudget } from "../../../src/services/MemoryBudget.ts"

/** Takes several turns, so that a permit returned too early lets the next holder in before "collected". */
const collectorRecording = (events: Array<string>) =>
  Layer.succeed(GarbageCollector, {
    collect: Effect.yieldNow.pipe(
      Effect.repeat({ times: 9 }),
      Effect.andThen(Effect.sync(() => void events.push("collected")))
    )
  })

const permits = (download: number, decompress: number, events: Array<string> = []) =>
  MemoryBudgetPermits.layerWith({ download, decompress }).pipe(Layer.provide(collectorRecording(events)))

/** Runs `use` with the only permit while a second snapshot waits for it, and returns what happened in which order. */
const orderOfLeaving = Effect.fnUntraced(function* (use: Effect.Effect<void, "failed">, interrupt = false) {
  const events: Array<string> = []
  const entered = yield* Deferred.make<void>()
  yield* Effect.gen(function* () {
    const { hold, withPermit } = yield* MemoryBudget
    const buffer = Effect.andThen(
      Effect.map(hold("db", "download"), (count) => count(2 ** 20)),
      Effect.acquireRelease(Effect.void, () => Effect.sync(() => void events.push("buffers released")))
    )
    const first = yield* Effect.forkChild(
      withPermit(
        "db",
        "download"
      )(
        buffer.pipe(
          Effect.andThen(Deferred.succeed(entered, undefined)),
          Effect.andThen(Effect.yieldNow),
          Effect.andThen(use)
        )
      )
    )
    yield* Deferred.await(entered)
    const second = yield* Effect.forkChild(
      withPermit("db", "download")(Effect.sync(() => void events.push("next holder")))
    )
    yield* Effect.yieldNow
    if (interrupt) yield* Fiber.interrupt(first)
    yield* Fiber.await(first)
    yield* Fiber.join(second)
  }).pipe(Effect.provide(permits(1, 1, events)))
  return events.slice(0, 3)
})

const expected = ["buffers released", "collected", "next holder"]

const Step = Schema.Struct({
  outcome: Schema.Literals(["succeed", "fail", "wait"]),
  /** Turns that the holder takes. */
  turns: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })),
  /** Turns after which it is interrupted. */
  interruptAfter: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))
})

const turns = (count: number) => Effect.repeat(Effect.yieldNow, { times: count })

describe("MemoryBudgetPermits", () => {
  it.effect("on success: buffers, collection, permit", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orderOfLeaving(Effect.void), expected)
    })
  )

  it.effect("on failure: buffers, collection, permit", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orderOfLeaving(Effect.fail("failed")), expected)
    })
  )

  it.effect("on interruption: buffers, collection, permit", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orderOfLeaving(Effect.never, true), expected)
    })
  )

  it.effect("a snapshot that was downloaded and merged is collected once in this thread, when it is released", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      yield* Effect.gen(function* () {
        const { hold, withPermit } = yield* MemoryBudget
        const merge = withPermit("db", "decompress")(Effect.map(hold("db", "decompress"), (count) => count(2 ** 20)))
        const receive = withPermit("db", "download")
        yield* receive(
          Effect.map(hold("db", "download"), (count) => count(2 ** 20)).pipe(
            Effect.andThen(merge),
            Effect.andThen(Effect.sync(() => void events.push("merged")))
          )
        )
        assert.deepStrictEqual(events, ["merged", "collected"])
        // Two small ones are not worth one by themselves, and together they are.
        const small = receive(Effect.map(hold("db", "download"), (count) => count(2 ** 19)))
        yield* small
        assert.deepStrictEqual(events, ["merged", "collected"])
        yield* small
        assert.deepStrictEqual(events, ["merged", "collected", "collected"])
        // A snapshot that is found to be too old was never in memory.
        yield* receive(Effect.void)
      }).pipe(Effect.provide(permits(1, 1, events)))
      assert.deepStrictEqual(events, ["merged", "collected", "collected"])
    })
  )

  it.effect("databases and budgets do not hold each other up", () =>
    Effect.gen(function* () {
      const { withPermit } = yield* MemoryBudget
      const nested = withPermit(
        "a",
        "download"
      )(withPermit("b", "download")(withPermit("a", "decompress")(Effect.succeed("all"))))
      assert.strictEqual(yield* nested, "all")
    }).pipe(Effect.provide(permits(1, 1)))
  )

  it.effect("as many at once as the limit says, the others wait and are counted", () =>
    Effect.gen(function* () {
      const { use, withPermit } = yield* MemoryBudget
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
        Effect.forkChild(withPermit("a", "decompress")(Effect.never))
      )
      yield* turns(5)
      assert.deepStrictEqual(yield* use("a", "decompress"), { limit: 3, active: 3, waiting: 2, bytes: 0 })
      assert.deepStrictEqual(yield* use("a", "download"), { limit: 2, active: 0, waiting: 0, bytes: 0 })
      assert.deepStrictEqual(yield* use("b", "decompress"), { limit: 3, active: 0, waiting: 0, bytes: 0 })
      yield* Fiber.interruptAll(fibers.slice(3))
      assert.deepStrictEqual(yield* use("a", "decompress"), { limit: 3, active: 3, waiting: 0, bytes: 0 })
      yield* Fiber.interruptAll(fibers)
      assert.deepStrictEqual(yield* use("a", "decompress"), { limit: 3, active: 0, waiting: 0, bytes: 0 })
    }).pipe(Effect.provide(permits(2, 3)))
  )

  it.effect("bytes count as long as the scope of their holder is open", () =>
    Effect.gen(function* () {
      const { hold, use, withPermit } = yield* MemoryBudget
      const bytes = Effect.map(
        Effect.all([use("a", "download"), use("a", "decompress"), use("b", "download")]),
        (budgets) => budgets.map(({ bytes }) => bytes)
      )
      yield* withPermit(
        "a",
        "download"
      )(
        Effect.gen(function* () {
          const downloaded = yield* hold("a", "download")
          downloaded(10)
          downloaded(5)
          assert.deepStrictEqual(yield* bytes, [15, 0, 0])
          yield* Effect.scoped(Effect.map(hold("a", "decompress"), (merging) => merging(7)))
          const other = yield* hold("b", "download")
          other(1)
          assert.deepStrictEqual(yield* bytes, [15, 0, 1])
        })
      )
      assert.deepStrictEqual(yield* bytes, [0, 0, 0])
    }).pipe(Effect.provide(permits(1, 1)))
  )

  it.effect.prop(
    "whatever fails and is interrupted when, no permit is lost and none is given twice",
    [Schema.Array(Step)],
    ([steps]) =>
      Effect.gen(function* () {
        const { hold, use, withPermit } = yield* MemoryBudget
        let holders = 0
        const holder = (step: typeof Step.Type) =>
          Effect.gen(function* () {
            yield* Effect.acquireRelease(
              Effect.sync(() => assert.isAtMost(++holders, 2)),
              () => Effect.sync(() => holders--)
            )
            ;(yield* hold("db", "download"))(step.turns + 1)
            assert.isAtLeast((yield* use("db", "download")).bytes, step.turns + 1)
            yield* turns(step.turns)
            if (step.outcome === "fail") return yield* Effect.fail("failed" as const)
            if (step.outcome === "wait") return yield* Effect.never
          })
        yield* Effect.forEach(
          steps,
          Effect.fnUntraced(function* (step) {
            const fiber = yield* Effect.forkChild(withPermit("db", "download")(holder(step)))
            yield* turns(step.interruptAfter)
            yield* Fiber.interrupt(fiber)
          }),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(yield* use("db", "download"), { limit: 2, active: 0, waiting: 0, bytes: 0 })
        // Both permits can still be had, at the same time.
        const both = withPermit("db", "download")(withPermit("db", "download")(Effect.succeed("both")))
        assert.deepStrictEqual(yield* Effect.exit(both), Exit.succeed("both"))
      }).pipe(Effect.provide(permits(2, 2))),
    { arbitrary: { runs: 200 } }
  )

  it.effect("V8's collector really collects", () =>
    Effect.gen(function* () {
      const { collect } = yield* GarbageCollector
      const buffer = new WeakRef(new Uint8Array(8 * 2 ** 20))
      // A WeakRef keeps its target until the end of the turn that made it.
      yield* Effect.yieldNow
      yield* collect
      assert.isUndefined(buffer.deref())
    }).pipe(Effect.provide(GarbageCollectorV8.layer))
  )

  it.live("what a holder had in memory is gone when it has left", () =>
    Effect.gen(function* () {
      const { hold, withPermit } = yield* MemoryBudget
      const before = process.memoryUsage().arrayBuffers
      const held = withPermit(
        "db",
        "download"
      )(
        Effect.map(hold("db", "download"), (count) => {
          count(100_000_000)
          const blocks = Array.from({ length: 100 }, () => new Uint8Array(1_000_000))
          return process.memoryUsage().arrayBuffers + blocks.length
        })
      )
      assert.isAbove((yield* held) - before, 90_000_000)
      // V8 frees what was collected in a thread of its own; nothing here allocates, so that no other collection would
      // come.
      while (process.memoryUsage().arrayBuffers - before > 10_000_000) yield* Effect.sleep(10)
    }).pipe(
      Effect.provide(
        MemoryBudgetPermits.layerWith({ download: 1, decompress: 1 }).pipe(Layer.provide(GarbageCollectorV8.layer))
      )
    )
  )
})
