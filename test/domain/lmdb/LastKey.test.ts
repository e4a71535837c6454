import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as KeyOrder from "../../../src/domain/lmdb/KeyOrder.ts"
import { LastKey } from "../../../src/domain/lmdb/LastKey.ts"

/** In a buffer that is used for every key, as a cursor's is: at a multiple of 4, and with something else behind. */
const feed = (last: LastKey, key: Uint8Array): boolean => {
  const buffer = new Uint8Array(2048).fill(0xa5)
  buffer.set(key, 32)
  return last.accepts(buffer, new Uint32Array(buffer.buffer), 32, 32 + key.length)
}

const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
// Few different bytes at first, so that keys have beginnings in common.
const few = Schema.Literals([0, 1, 127, 128, 255])
const Key = Schema.Array(Schema.Union([few, few, byte])).check(Schema.isMinLength(1), Schema.isMaxLength(13))
const Integer = Schema.Array(few).check(Schema.isMinLength(4), Schema.isMaxLength(4))

const orders: ReadonlyArray<{ readonly order: KeyOrder.KeyOrder; readonly key: typeof Key | typeof Integer }> = [
  { order: KeyOrder.plain, key: Key },
  { order: KeyOrder.reverse, key: Key },
  { order: KeyOrder.integer, key: Integer }
]

describe("LastKey", () => {
  for (const { key, order } of orders) {
    it.prop(
      `accepts what comes after the last key that it accepted, in ${KeyOrder.display(order)}`,
      [Schema.Array(key), Schema.Boolean],
      ([keys, repeats]) => {
        const last = new LastKey(order, repeats)
        let before: Uint8Array | undefined
        for (const bytes of keys.map((key) => Uint8Array.from(key))) {
          const difference =
            before === undefined ? 1 : KeyOrder.compareKeys(order, bytes, 0, bytes.length, before, 0, before.length)
          const expected = difference > 0 || (difference === 0 && repeats)
          assert.strictEqual(feed(last, bytes), expected)
          if (expected) before = bytes
          assert.deepStrictEqual(last.last, before)
        }
      },
      { arbitrary: { runs: 500 } }
    )
  }

  it("has room for keys that are longer than LMDB's usual ones", () => {
    for (const { order } of orders.slice(0, 2)) {
      const last = new LastKey(order, false)
      assert.isTrue(feed(last, Uint8Array.of(1)))
      assert.isTrue(feed(last, new Uint8Array(1978).fill(1)))
      assert.isFalse(feed(last, new Uint8Array(1977).fill(1)))
      assert.isTrue(feed(last, new Uint8Array(1978).fill(2)))
    }
  })
})
