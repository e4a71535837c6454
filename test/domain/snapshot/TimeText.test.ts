import { assert, describe, it } from "@effect/vitest"
import { parse } from "../../../src/domain/snapshot/TimeText.ts"

const noon = 1_738_324_800_000_000_000n

describe("TimeText", () => {
  it("reads RFC 3339 with any offset and up to nine digits, and the times of names", () => {
    for (const [text, nanos] of [
      ["2025-01-31T12:00:00Z", noon],
      ["2025-01-31 12:00:00z", noon],
      ["2025-01-31T13:30:00+01:30", noon],
      ["2025-01-31T07:00:00-05:00", noon],
      ["2025-01-31T12:00:00.5Z", noon + 500_000_000n],
      ["2025-01-31T12:00:00.000000001Z", noon + 1n],
      ["20250131-120000-000000007", noon + 7n]
    ] as const)
      assert.strictEqual(parse(text), nanos, text)
  })

  it("takes nothing for a time that leaves the zone open, or does not exist", () => {
    for (const text of [
      "2025-01-31T12:00:00",
      "2025-01-31",
      "2025-02-30T12:00:00Z",
      "2025-01-31T25:00:00Z",
      "2025-01-31T12:00:00+24:00",
      "2025-01-31T12:00:00+01:60",
      "2025-01-31T12:00:00.Z",
      "2025-01-31T12:00:00.0000000001Z",
      "latest",
      ""
    ])
      assert.isUndefined(parse(text), text)
  })
})
