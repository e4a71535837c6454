import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { compareBytes, Sides } from "../../../src/domain/bytes/ByteOrder.ts"
import * as DbiFlags from "../../../src/domain/lmdb/DbiFlags.ts"
import * as KeyOrder from "../../../src/domain/lmdb/KeyOrder.ts"

const Byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
// Few different bytes, so that keys have long common parts.
const Key = Schema.Array(Schema.Literals([0, 1, 0x7f, 0x80, 0xff])).check(Schema.isMaxLength(12))
const Length = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 }))

const sides = new Sides()

/** The sign, which is the same with `sides` and without. */
const signOf = (compared: (sides?: Sides) => number): number => {
  const sign = Math.sign(compared())
  assert.strictEqual(Math.sign(compared(sides)), sign)
  return sign
}

/** Within other bytes, so that a look outside of the range shows: behind it they are the same, too. */
const compare = (order: KeyOrder.KeyOrder, a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  const left = Uint8Array.from([9, ...a, 200, 200, 200, 200])
  const right = Uint8Array.from([8, 7, ...b, 200, 200, 200, 200])
  return signOf((sides) => KeyOrder.compareKeys(order, left, 1, 1 + a.length, right, 2, 2 + b.length, sides))
}

const integerOf = (key: ReadonlyArray<number>): bigint => key.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

describe("key orders", () => {
  it.prop(
    "plain: as memcmp, a prefix first",
    [Key, Key],
    ([a, b]) => {
      assert.strictEqual(compare(KeyOrder.plain, a, b), Buffer.compare(Buffer.from(a), Buffer.from(b)))
    },
    { arbitrary: { runs: 300 } }
  )

  it.prop(
    "reversed: as memcmp from the last byte",
    [Key, Key],
    ([a, b]) => {
      assert.strictEqual(
        compare(KeyOrder.reverse, a, b),
        Buffer.compare(Buffer.from(a.toReversed()), Buffer.from(b.toReversed()))
      )
    },
    { arbitrary: { runs: 300 } }
  )

  it.prop(
    "integer: as unsigned little-endian numbers",
    [Key, Key],
    ([a, b]) => {
      const [x, y] = [integerOf(a), integerOf(b)]
      assert.strictEqual(compare(KeyOrder.integer, a, b), x < y ? -1 : x > y ? 1 : 0)
    },
    { arbitrary: { runs: 300 } }
  )

  it.prop(
    "long ranges compare as short ones, wherever they differ",
    [Length, Length, Length, Byte],
    ([length, other, at, byte]) => {
      const a = new Uint8Array(length).fill(7)
      const b = new Uint8Array(other).fill(7)
      if (at < length) a[at] = byte
      assert.strictEqual(
        signOf((sides) => compareBytes(a, 0, length, b, 0, other, sides)),
        Buffer.compare(a, b)
      )
      const shifted = Buffer.concat([Buffer.alloc(3), b, Buffer.alloc(9)])
      assert.strictEqual(
        signOf((sides) => compareBytes(a, 0, length, shifted, 3, 3 + other, sides)),
        Buffer.compare(a, b)
      )
    },
    { arbitrary: { runs: 300 } }
  )

  it("follows from the flags", () => {
    assert.strictEqual(KeyOrder.orderOf(0), KeyOrder.plain)
    assert.strictEqual(KeyOrder.orderOf(DbiFlags.DUPSORT | DbiFlags.DUPFIXED), KeyOrder.plain)
    assert.strictEqual(KeyOrder.orderOf(DbiFlags.INTEGERKEY), KeyOrder.integer)
    assert.strictEqual(KeyOrder.orderOf(DbiFlags.REVERSEKEY), KeyOrder.reverse)
  })
})

describe("DbiFlags", () => {
  it("are shown by name, unknown bits as a number", () => {
    assert.strictEqual(DbiFlags.display(0), "none")
    assert.strictEqual(DbiFlags.display(0x14), "MDB_DUPSORT|MDB_DUPFIXED")
    assert.strictEqual(DbiFlags.display(0x8000_0000_0000_0008n), "MDB_INTEGERKEY|0x8000000000000000")
  })

  it("are a number when nothing else is in it", () => {
    assert.strictEqual(DbiFlags.toNumber(0x7en), 0x7e)
    for (const flags of [1n, 0x80n, 0x40000n, 1n << 63n]) assert.strictEqual(DbiFlags.toNumber(flags), undefined)
  })
})
