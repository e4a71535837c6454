import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { format, parse } from "../../../../src/domain/settings/values/GoByteSize.ts"

describe("ByteSize", () => {
  it("units are of 1024, in any case, with or without B, or as words", () => {
    const cases: ReadonlyArray<readonly [string, number]> = [
      ["0", 0],
      ["1048576", 1048576],
      ["5B", 5],
      ["5 byte", 5],
      ["5bytes", 5],
      ["64mb", 64 * 1024 ** 2],
      ["1G", 1024 ** 3],
      ["2 GB", 2 * 1024 ** 3],
      ["100KB", 102400],
      ["100kb", 102400],
      ["1kB", 1024],
      ["1 kilobyte", 1024],
      ["3 megabytes", 3 * 1024 ** 2],
      ["1giga", 1024 ** 3],
      ["1Tb".toUpperCase(), 1024 ** 4],
      ["7PB", 7 * 1024 ** 5],
      ["1000MB", 1000 * 1024 ** 2]
    ]
    for (const [text, size] of cases) assert.strictEqual(parse(text), size, text)
  })

  it("refuses bits, fractions, signs, unknown units and what can't be exact", () => {
    for (const text of [
      "10Kb",
      "10Mb",
      "10Gb",
      "10Tb",
      "10Pb",
      "10Eb",
      "1.5GB",
      "-1",
      "10XB",
      "",
      "GB",
      "1 G B",
      "exabyte",
      "1exa",
      "1e9",
      "0x10",
      "9000PB",
      "1_0"
    ]) {
      assert.isUndefined(parse(text), text)
    }
  })

  it("shows the largest unit that is exact", () => {
    assert.deepStrictEqual([0, 1023, 1024, 1025, 1024 ** 2 * 1000, 1024 ** 3, 1024 ** 3 * 1.5].map(format), [
      "0B",
      "1023B",
      "1KB",
      "1025B",
      "1000MB",
      "1GB",
      "1536MB"
    ])
  })

  it.effect.prop(
    "a size survives being written and read",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 53 - 1 }))],
    ([size]) => Effect.sync(() => assert.strictEqual(parse(format(size)), size))
  )
})
