import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { FileMode, format } from "../../../../src/domain/settings/values/FileMode.ts"
import { Scalar } from "../../../../src/domain/settings/values/YamlScalar.ts"

const decode = Schema.decodeUnknownEffect(FileMode)

describe("FileMode", () => {
  it.effect("a zero before the number makes it octal, as YAML 1.1 has it", () =>
    Effect.gen(function* () {
      for (const [text, mode] of [
        ["0640", 0o640],
        ["0o640", 0o640],
        ["0777", 0o777],
        ["0", 0],
        ["420", 0o644]
      ] as const) {
        assert.strictEqual(yield* decode(new Scalar(text)), mode, text)
      }
      assert.strictEqual(format(0o644), "0644")
    })
  )

  it.effect("refuses what is above 0777, no number, or text", () =>
    Effect.gen(function* () {
      for (const text of ["644", "01777", "-1", "0888", "rw-r--r--"]) {
        assert.include((yield* Effect.flip(decode(new Scalar(text)))).message, "in octal, at most 0777", text)
      }
      yield* Effect.flip(decode(new Scalar("0640", false)))
    })
  )
})
