import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Schema } from "effect"
import * as NanoTimestamp from "../../../src/domain/snapshot/NanoTimestamp.ts"
import * as Golden from "../../support/fixtures/Golden.ts"

/** Milliseconds of the years 0000 to 9999. */
const Millis = Schema.Int.check(Schema.isBetween({ minimum: -62_167_219_200_000, maximum: 253_402_300_799_999 }))
const Nanos = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999_999 }))

describe("NanoTimestamp", () => {
  it.effect("the golden timestamps, both ways", () =>
    Effect.gen(function* () {
      const { timestamps } = yield* Golden.readJson<{
        readonly timestamps: ReadonlyArray<{ readonly timestampNano: string; readonly text: string }>
      }>("names.json")
      for (const { text, timestampNano } of timestamps) {
        assert.strictEqual(NanoTimestamp.format(BigInt(timestampNano)), text)
        assert.strictEqual(NanoTimestamp.parse(text), BigInt(timestampNano))
      }
    })
  )

  it.prop(
    "is what the platform's calendar says, to the nanosecond, and survives being written and read",
    [Millis, Nanos],
    ([millis, nanos]) => {
      const iso = DateTime.formatIso(DateTime.makeUnsafe(millis))
      const text = NanoTimestamp.format(BigInt(millis) * 1_000_000n + BigInt(nanos))
      assert.strictEqual(
        text,
        `${iso.slice(0, 19).replace(/[-:]/g, "").replace("T", "-")}-${iso.slice(20, 23)}${String(nanos).padStart(6, "0")}`
      )
      assert.strictEqual(NanoTimestamp.parse(text), BigInt(millis) * 1_000_000n + BigInt(nanos))
    },
    { arbitrary: { runs: 300 } }
  )

  it("takes leap days where they are, and no day, hour or second that is not there", () => {
    for (const text of [
      "20000229-000000-000000000",
      "20240229-235959-999999999",
      "00000101-000000-000000000",
      "99991231-235959-999999999"
    ]) {
      assert.notStrictEqual(NanoTimestamp.parse(text), undefined, text)
    }
    for (const text of [
      "19000229-000000-000000000",
      "20230229-000000-000000000",
      "20240431-000000-000000000",
      "20240000-000000-000000000",
      "20240100-000000-000000000",
      "20241301-000000-000000000",
      "20240101-240000-000000000",
      "20240101-006000-000000000",
      "20241231-235960-000000000",
      "20240101-000000-00000000",
      "20240101-000000-+00000001",
      " 20240101-000000-000000001",
      "２0240101-000000-000000001",
      ""
    ])
      assert.strictEqual(NanoTimestamp.parse(text), undefined, text)
  })
})
