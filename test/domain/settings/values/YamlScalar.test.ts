import { assert, describe, it } from "@effect/vitest"
import {
  booleanOf,
  integerOf,
  isNull,
  numberOf,
  Scalar,
  wholeNumberOf
} from "../../../../src/domain/settings/values/YamlScalar.ts"

const quoted = (text: string) => new Scalar(text, false)

describe("Scalar", () => {
  it("reads booleans in the spellings of YAML 1.1, and only those", () => {
    for (const text of ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
      assert.isTrue(booleanOf(new Scalar(text)), text)
    for (const text of ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
      assert.isFalse(booleanOf(new Scalar(text)), text)
    for (const text of ["", "yEs", "oN", "1", "0", "maybe"]) assert.isUndefined(booleanOf(new Scalar(text)), text)
    assert.isUndefined(booleanOf(quoted("true")))
  })

  it("reads integers in base 10, 16, 8 and 2", () => {
    const cases: ReadonlyArray<readonly [string, bigint]> = [
      ["0", 0n],
      ["12", 12n],
      ["-5", -5n],
      ["+5", 5n],
      ["0640", 416n],
      ["0o640", 416n],
      ["0x1F", 31n],
      ["0b101", 5n],
      ["1_000", 1000n],
      ["-010", -8n],
      ["9223372036854775807", 9223372036854775807n]
    ]
    for (const [text, value] of cases) assert.strictEqual(integerOf(new Scalar(text)), value, text)
    for (const text of ["", "08", "1.0", "x", "1 2", "0x", "- 1", "1:30"])
      assert.isUndefined(integerOf(new Scalar(text)), text)
    assert.isUndefined(integerOf(quoted("12")))
  })

  it("reads floats, and whole ones as integers", () => {
    assert.strictEqual(numberOf(new Scalar("30.5")), 30.5)
    assert.strictEqual(numberOf(new Scalar(".5e1")), 5)
    assert.strictEqual(numberOf(new Scalar("0x10")), 16)
    assert.strictEqual(wholeNumberOf(new Scalar("1e3")), 1000n)
    for (const text of ["1.5", "NaN", ".inf", "1e", "."]) assert.isUndefined(wholeNumberOf(new Scalar(text)), text)
    assert.isUndefined(numberOf(quoted("1.5")))
  })

  it("is null when empty or ~, unless quoted", () => {
    for (const text of ["", "~", "null", "Null", "NULL"]) {
      assert.isTrue(isNull(new Scalar(text)), text)
      assert.isFalse(isNull(quoted(text)), text)
    }
    assert.isFalse(isNull(new Scalar("nUll")))
  })
})
