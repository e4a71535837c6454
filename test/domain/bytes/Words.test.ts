import { assert, describe, it } from "@effect/vitest"
import { copyWords, overrun, Words } from "../../../src/domain/bytes/Words.ts"

const source = Uint8Array.from({ length: 700 }, (_, i) => i * 7 + 1)

describe("copyWords", () => {
  it("copies what was asked for, wherever it begins and however long, and writes nothing beyond the overrun", () => {
    const words = new Words(source)
    for (const start of [0, 1, 2, 3, 5, 600, 690, 697]) {
      // On both sides of the limit of the loop, and up to the last byte of the source.
      const rest = source.length - start
      for (const length of [0, 1, 2, 3, 4, 5, 63, 64, 254, 255, 256, 257, 258, rest - 3, rest - 1, rest].filter(
        (length) => length >= 0 && length <= rest
      )) {
        for (const at of [0, 1, 6]) {
          const target = new Uint8Array(at + length + overrun + 8).fill(0xee)
          copyWords(target, new DataView(target.buffer), at, source, words.use(source), start, start + length)
          assert.deepStrictEqual(
            target.slice(at, at + length),
            source.slice(start, start + length),
            `${length} from ${start} to ${at}`
          )
          assert.isTrue(target.subarray(0, at).every((byte) => byte === 0xee))
          assert.isTrue(target.subarray(at + length + overrun).every((byte) => byte === 0xee))
        }
      }
    }
  })

  it("sees an array that is a part of a buffer, and one after the other", () => {
    const words = new Words(source)
    for (const part of [source.subarray(3, 90), source.subarray(100), source])
      assert.strictEqual(words.use(part).getUint8(0), part[0])
  })
})
