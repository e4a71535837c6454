import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import {
  durationAtLeast,
  durationPositive,
  format,
  GoDuration,
  parse
} from "../../../../src/domain/settings/values/GoDuration.ts"
import { Scalar } from "../../../../src/domain/settings/values/YamlScalar.ts"

const decode = Schema.decodeUnknownEffect(GoDuration)

describe("GoDuration", () => {
  it("reads what Go's time.ParseDuration reads", () => {
    const cases: ReadonlyArray<readonly [string, Duration.Input]> = [
      ["1h30m", "90 minutes"],
      ["500ms", "500 millis"],
      ["1.5s", "1500 millis"],
      ["0", 0],
      ["-0", 0],
      [".5h", "30 minutes"],
      ["1m1m", "2 minutes"],
      ["250µs", "250 micros"],
      ["3ns", "3 nanos"],
      ["1.1ns", "1 nanos"],
      ["1.s", "1 second"],
      ["+2s", "2 seconds"],
      ["-1.5s", -1500]
    ]
    for (const [text, duration] of cases) assert.deepStrictEqual(parse(text), Duration.fromInputUnsafe(duration), text)
  })

  it.effect("refuses everything else and says what it wants", () =>
    Effect.gen(function* () {
      for (const text of [
        "",
        "1 s",
        "1d",
        "s",
        "1h30",
        "Infinity",
        "2 seconds",
        ".s",
        "1..5s",
        "1h.m",
        "--1s",
        "300y",
        "2562048h",
        "1.5",
        "-"
      ]) {
        const error = yield* Effect.flip(decode(text))
        assert.include(error.message, `a duration such as "1h30m"`, text)
      }
    })
  )

  it.effect("a bare number is nanoseconds, a quoted one lacks its unit", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* decode(new Scalar("500000000")), Duration.millis(500))
      assert.deepStrictEqual(yield* decode(new Scalar("-1")), Duration.nanos(-1n))
      assert.deepStrictEqual(yield* decode(new Scalar("0")), Duration.zero)
      assert.deepStrictEqual(yield* decode(new Scalar("0", false)), Duration.zero)
      yield* Effect.flip(decode(new Scalar("5", false)))
    })
  )

  it("writes what Go's Duration.String writes", () => {
    for (const text of [
      "0s",
      "1ns",
      "1.5µs",
      "250ms",
      "1.5ms",
      "59.999999999s",
      "1m30s",
      "2m0.25s",
      "4h0m0s",
      "100h0m0.000000001s",
      "-1m0s",
      "-1.5s"
    ]) {
      assert.strictEqual(format(parse(text)!), text)
    }
  })

  it.effect.prop(
    "a duration survives being written and read",
    [Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 63n) + 1n, maximum: 2n ** 63n - 1n }))],
    ([nanos]) =>
      Effect.sync(() => assert.strictEqual(Duration.toNanosUnsafe(parse(format(Duration.nanos(nanos)))!), nanos))
  )

  it.effect("lower limits include the limit, and 0 where it is a value of its own", () =>
    Effect.gen(function* () {
      const orZero = Schema.decodeEffect(durationAtLeast("1m", true))
      for (const text of ["0", "1m", "2m"]) yield* orZero(text)
      for (const text of ["59.999s", "1ns", "-1m"])
        assert.include((yield* Effect.flip(orZero(text))).message, "0 or a duration of at least 1m")
      yield* Effect.flip(Schema.decodeEffect(durationAtLeast("100ms"))("0"))
      yield* Effect.flip(Schema.decodeEffect(durationPositive)("0"))
      yield* Schema.decodeEffect(durationPositive)("1ns")
    })
  )
})
