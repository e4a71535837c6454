import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as DupsortKey from "../../../src/domain/lmdb/DupsortKey.ts"
import * as Golden from "../../support/fixtures/Golden.ts"
import { maxKeyBytes } from "../../../src/domain/lmdb/Limits.ts"

/**
 * Within other bytes, so that a look outside of the range shows; the target is dirty, so that each byte must be
 * written.
 */
const write = (key: Uint8Array, value: Uint8Array): Buffer | undefined => {
  const target = Buffer.alloc(maxKeyBytes, 0xa5)
  const length = DupsortKey.write(
    target,
    Buffer.concat([Buffer.alloc(3, 7), key, Buffer.alloc(2, 7)]),
    3,
    3 + key.length,
    Buffer.concat([Buffer.alloc(5, 9), value, Buffer.alloc(600, 9)]),
    5,
    5 + value.length
  )
  return length === 0 ? undefined : target.subarray(0, length)
}

const keyOf = (shadowKey: Uint8Array): Buffer => {
  const within = Buffer.concat([Buffer.alloc(4, 1), shadowKey, Buffer.alloc(4, 1)])
  return within.subarray(4, DupsortKey.keyEnd(within, 4, 4 + shadowKey.length))
}

const isLayout = (shadowKey: Uint8Array): boolean => {
  const within = Buffer.concat([Buffer.alloc(4), shadowKey, Buffer.alloc(4)])
  return DupsortKey.isLayout(within, 4, 4 + shadowKey.length)
}

const Bytes = (maximum: number) => Schema.Array(Schema.Literals([0, 1, 4, 0xff])).check(Schema.isMaxLength(maximum))

interface Dbi {
  readonly entries: ReadonlyArray<{ readonly key: string; readonly value: string; readonly flags: number }>
}

describe("DupsortKey", () => {
  it.effect("gives the reference's keys", () =>
    Effect.gen(function* () {
      let count = 0
      for (const { dbis, entriesFile } of yield* Golden.snapshots) {
        if (entriesFile === undefined) continue
        const decoded = yield* Golden.readJson<ReadonlyArray<Dbi>>(entriesFile)
        for (const [i, { transform }] of dbis.entries()) {
          if (transform !== "dupsort_hack_v1") continue
          for (const { flags, key, value } of decoded[i]!.entries) {
            const shadowKey = Buffer.from(key, "hex")
            assert.isTrue(isLayout(shadowKey))
            // Of a tombstone the value is not known.
            if (flags === 1) continue
            assert.strictEqual(write(keyOf(shadowKey), Buffer.from(value, "hex"))?.toString("hex"), key)
            count++
          }
        }
      }
      assert.isAbove(count, 40)
    })
  )

  it("has as much of the value as fits in 511 bytes with the last one left", () => {
    for (const [keyLength, room] of [
      [1, 505],
      [255, 251]
    ] as const) {
      const key = Buffer.alloc(keyLength, 0x6b)
      for (const valueLength of [0, room - 1, room, room + 1, 511]) {
        const value = Buffer.from(Uint8Array.from({ length: valueLength }, (_, i) => i % 251))
        const made = write(key, value)!
        assert.strictEqual(
          made.toString("hex"),
          Buffer.concat([key, Buffer.alloc(4), value.subarray(0, room), Buffer.of(keyLength)]).toString("hex")
        )
        assert.isAtMost(made.length, 511)
      }
      assert.strictEqual(write(key, Buffer.alloc(room))!.length, 511)
    }
  })

  it("keys of 1 to 255 bytes have one", () => {
    assert.strictEqual(write(Buffer.alloc(0), Buffer.from("v")), undefined)
    assert.strictEqual(write(Buffer.alloc(256, 1), Buffer.from("v")), undefined)
    assert.isDefined(write(Buffer.alloc(255, 1), Buffer.from("v")))
  })

  it.prop(
    "gives the key back, and values that fit give different keys",
    [Bytes(6), Bytes(6), Bytes(6)],
    ([key, a, b]) => {
      if (key.length === 0) return
      const [made, other] = [write(Buffer.from(key), Buffer.from(a))!, write(Buffer.from(key), Buffer.from(b))!]
      assert.deepStrictEqual(keyOf(made), Buffer.from(key))
      assert.isTrue(isLayout(made))
      assert.strictEqual(made.equals(other), Buffer.from(a).equals(Buffer.from(b)))
    },
    { arbitrary: { runs: 300 } }
  )

  it("knows what is not of the layout, without a look outside", () => {
    for (const hex of [
      "01",
      "00000001",
      "6b00000001",
      "6b0000000002",
      "6b000001007601",
      "000000007600",
      "6b000000007606",
      "ff"
    ]) {
      assert.isFalse(isLayout(Buffer.from(hex, "hex")), hex)
    }
    for (const hex of ["6b0000000001", "6b000000007601"]) assert.isTrue(isLayout(Buffer.from(hex, "hex")), hex)
  })
})
