import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { format, parse } from "../../../../src/domain/settings/values/DbiFlagsText.ts"

describe("DbiFlagsText", () => {
  it("reads numbers and names in all spellings", () => {
    const cases: ReadonlyArray<readonly [string, number]> = [
      ["", 0],
      ["0", 0],
      ["8", 8],
      ["0x0c", 12],
      ["MDB_DUPSORT|MDB_DUPFIXED", 20],
      ["MDB_DUPSORT,MDB_DUPFIXED", 20],
      ["DUPSORT + INTEGERDUP", 36],
      ["mdb_integerkey", 8],
      ["MDB_REVERSEKEY MDB_DUPSORT MDB_REVERSEDUP", 70],
      ["0x7e", 126]
    ]
    for (const [text, flags] of cases) assert.strictEqual(parse(text), flags, text)
  })

  it("refuses what is not a persistent flag", () => {
    for (const text of ["MDB_CREATE", "1", "0x80", "0x40000", "-2", "MDB_DUPSORT|8", "x"])
      assert.isUndefined(parse(text), text)
  })

  it("shows names by rising bit", () => {
    assert.strictEqual(format(0), "")
    assert.strictEqual(format(70), "MDB_REVERSEKEY|MDB_DUPSORT|MDB_REVERSEDUP")
  })

  it.effect.prop(
    "flags survive being written and read",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 63 }))],
    ([half]) => Effect.sync(() => assert.strictEqual(parse(format(half * 2)), half * 2))
  )
})
