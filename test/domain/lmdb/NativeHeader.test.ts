import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as NativeHeader from "../../../src/domain/lmdb/NativeHeader.ts"
import * as Golden from "../../support/fixtures/Golden.ts"

interface Headers {
  readonly read: ReadonlyArray<
    | {
        readonly name: string
        readonly bytes: string
        readonly ok: true
        readonly timestampNano: string
        readonly txnID: string
        readonly flags: number
        readonly deleted: boolean
        readonly value: string
      }
    | { readonly name: string; readonly bytes: string; readonly ok: false; readonly reason: "too short" | "version" }
  >
  readonly write: ReadonlyArray<{
    readonly timestampNano: string
    readonly txnID: string
    readonly flags: number
    readonly value: string
    readonly bytes: string
  }>
}

const headers = Golden.readJson<Headers>("header.json")

const high = (value: string): number => Number(BigInt(value) >> 32n)
const low = (value: string): number => Number(BigInt(value) & 0xffff_ffffn)
const joined = (high: number, low: number): string => String((BigInt(high) << 32n) | BigInt(low))

const Half = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))

describe("NativeHeader", () => {
  it.effect("reads each golden value in place, or says why it is none", () =>
    Effect.gen(function* () {
      for (const expected of (yield* headers).read) {
        // In the middle of other bytes, which must not be looked at.
        const raw = Buffer.from(expected.bytes, "hex")
        const bytes = Buffer.concat([Buffer.alloc(5, 0xff), raw, Buffer.alloc(40, 0)])
        const at = NativeHeader.readHeader(bytes, 5, 5 + raw.length)
        if (!expected.ok) {
          assert.strictEqual(
            at,
            expected.reason === "version" ? NativeHeader.wrongVersion : NativeHeader.tooShort,
            expected.name
          )
          assert.isNotEmpty(NativeHeader.problemOf(at))
          continue
        }
        assert.strictEqual(bytes.subarray(at, 5 + raw.length).toString("hex"), expected.value, expected.name)
        assert.strictEqual(
          joined(NativeHeader.timestampHigh(bytes, 5), NativeHeader.timestampLow(bytes, 5)),
          expected.timestampNano,
          expected.name
        )
        assert.strictEqual(
          joined(NativeHeader.transactionHigh(bytes, 5), NativeHeader.transactionLow(bytes, 5)),
          expected.txnID,
          expected.name
        )
        assert.strictEqual(NativeHeader.flags(bytes, 5), expected.flags, expected.name)
        assert.strictEqual(NativeHeader.isDeleted(bytes, 5), expected.deleted, expected.name)
      }
    })
  )

  it.effect("writes the golden bytes", () =>
    Effect.gen(function* () {
      for (const { bytes, flags, timestampNano, txnID, value } of (yield* headers).write) {
        const target = Buffer.alloc(100, 0xff)
        const at = NativeHeader.writeHeader(
          target,
          3,
          high(timestampNano),
          low(timestampNano),
          high(txnID),
          low(txnID),
          (flags & 1) !== 0,
          0
        )
        assert.strictEqual(target.subarray(3, at).toString("hex") + value, bytes)
      }
    })
  )

  it.prop(
    "reads what it wrote, with any number of padding blocks",
    [Half, Half, Half, Half, Schema.Boolean, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 }))],
    ([tsHigh, tsLow, txnHigh, txnLow, deleted, blocks]) => {
      const target = new Uint8Array(3_000).fill(0xff)
      const at = NativeHeader.writeHeader(target, 7, tsHigh, tsLow, txnHigh, txnLow, deleted, blocks)
      assert.strictEqual(at, 7 + 24 + 8 * blocks)
      assert.strictEqual(target[at], 0xff)
      assert.strictEqual(NativeHeader.readHeader(target, 7, at), at)
      assert.strictEqual(NativeHeader.readHeader(target, 7, at - 1), NativeHeader.tooShort)
      assert.deepStrictEqual(
        [
          NativeHeader.timestampHigh(target, 7),
          NativeHeader.timestampLow(target, 7),
          NativeHeader.transactionHigh(target, 7),
          NativeHeader.transactionLow(target, 7),
          NativeHeader.isDeleted(target, 7)
        ],
        [tsHigh, tsLow, txnHigh, txnLow, deleted]
      )
    }
  )
})
