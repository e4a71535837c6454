import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as HealthRegistry from "../../../src/layers/health/HealthRegistry.ts"
import { Health } from "../../../src/services/Health.ts"

describe("HealthRegistry", () => {
  it.effect("a failing check keeps the time of its first failure and has the newest message", () =>
    Effect.gen(function* () {
      const { all, failing } = yield* Health
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(yield* failing("main_storage_list", "refused"))
      yield* TestClock.adjust("5 seconds")
      assert.isFalse(yield* failing("main_storage_list", "timed out"))
      assert.deepStrictEqual(yield* all, [
        { check: "main_storage_list", since: 10_000, attempts: 2, message: "timed out" }
      ])
    }).pipe(Effect.provide(HealthRegistry.layer))
  )

  it.effect("well again says for how long it had been failing, once, and the next failure is a first one", () =>
    Effect.gen(function* () {
      const { all, failing, well } = yield* Health
      assert.isUndefined(yield* well("a"))
      yield* failing("a", "no")
      yield* TestClock.adjust("65 seconds")
      assert.strictEqual(yield* well("a"), 65_000)
      assert.isUndefined(yield* well("a"))
      assert.deepStrictEqual(yield* all, [])
      assert.isTrue(yield* failing("a", "no"))
      assert.strictEqual((yield* all)[0]?.since, 65_000)
    }).pipe(Effect.provide(HealthRegistry.layer))
  )

  it.effect("checks do not touch each other, and are listed by name", () =>
    Effect.gen(function* () {
      const { all, failing, well } = yield* Health
      for (const check of ["b", "c", "a"]) yield* failing(check, "no")
      yield* well("c")
      assert.deepStrictEqual(
        (yield* all).map(({ check }) => check),
        ["a", "b"]
      )
    }).pipe(Effect.provide(HealthRegistry.layer))
  )

  it.effect("remembers the last 20 problems, the newest first, and whether they are over", () =>
    Effect.gen(function* () {
      const { failing, recent, well } = yield* Health
      for (let i = 0; i < 25; i++) {
        yield* TestClock.adjust("1 second")
        yield* failing(`check ${i}`, "no")
        if (i < 24) yield* well(`check ${i}`)
      }
      const found = yield* recent
      assert.deepStrictEqual(
        found.map(({ check }) => check),
        Array.from({ length: 20 }, (_, i) => `check ${24 - i}`)
      )
      assert.deepStrictEqual([found[0]?.until, found[1]?.until], [undefined, 24_000])
    }).pipe(Effect.provide(HealthRegistry.layer))
  )
})
