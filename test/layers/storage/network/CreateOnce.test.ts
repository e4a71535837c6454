import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as CreateOnce from "../../../../src/layers/storage/network/CreateOnce.ts"
import { StorageError, Unavailable } from "../../../../src/services/Storage.ts"

const failure = new StorageError({
  operation: "create",
  place: "here",
  name: "",
  reason: new Unavailable({ code: "503", detail: "of the test" })
})

/**
 * Each attempt takes a second; the first ones fail. Tests give more time than they need, so that too many attempts are
 * counted rather than waited for.
 */
const makeWorld = Effect.fnUntraced(function* (failing: number) {
  let attempts = 0
  let underWay = 0
  let most = 0
  const create = Effect.gen(function* () {
    const attempt = ++attempts
    most = Math.max(most, ++underWay)
    yield* Effect.ensuring(
      Effect.sleep("1 second"),
      Effect.sync(() => underWay--)
    )
    if (attempt <= failing) return yield* failure
  })
  return { before: yield* CreateOnce.before(create), attempts: () => attempts, most: () => most }
})

const fork = (world: Effect.Success<ReturnType<typeof makeWorld>>, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.forkChild(Effect.exit(world.before)))

describe("StorageCreated", () => {
  it.effect("one attempt serves everybody who waits for it, and a good one is the last", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld(1)
      const first = yield* fork(world, 5)
      yield* TestClock.adjust("1 minute")
      const failed = yield* Effect.forEach(first, Fiber.join)
      assert.deepStrictEqual(
        failed.map(({ _tag }) => _tag),
        ["Failure", "Failure", "Failure", "Failure", "Failure"]
      )
      assert.strictEqual(world.attempts(), 1)
      const second = yield* fork(world, 5)
      yield* TestClock.adjust("1 minute")
      const done = yield* Effect.forEach(second, Fiber.join)
      assert.deepStrictEqual(
        done.map(({ _tag }) => _tag),
        ["Success", "Success", "Success", "Success", "Success"]
      )
      const [last] = yield* fork(world, 1)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(last!)
      assert.deepStrictEqual([world.attempts(), world.most()], [2, 1])
    })
  )

  it.effect("who waited for an attempt that was interrupted makes one itself", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld(0)
      const [first, second] = yield* fork(world, 2)
      yield* TestClock.adjust("200 millis")
      yield* Fiber.interrupt(first!)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(second!))._tag, "Success")
      assert.deepStrictEqual([world.attempts(), world.most()], [2, 1])
    })
  )
})
