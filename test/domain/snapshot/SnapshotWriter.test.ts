import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import * as SnapshotMeta from "../../../src/domain/snapshot/SnapshotMeta.ts"
import { dbiHead, EntryEncoder, entrySize, snapshotHead } from "../../../src/domain/snapshot/SnapshotWriter.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const Size = Schema.Literals([0, 1, 5, 127, 128, 129, 200, 16_383, 16_384, 100_000])

describe("SnapshotWriter", () => {
  it("writes versions, then meta in the reference's order, and leaves out what is empty or zero", () => {
    const head = snapshotHead(
      { formatVersion: 3, compatVersion: 1 },
      {
        generationID: "G",
        instanceID: "i",
        hostname: "h",
        databaseName: "d",
        lmdbTxnID: 300n,
        timestampNano: 258n,
        fromLmdbTxnID: 1n
      }
    )
    assert.strictEqual(hex(head), "08032001121a0a01471201691a01683a016420ac022902010000000000004001")
    assert.strictEqual(hex(snapshotHead({ formatVersion: 3, compatVersion: 0 }, SnapshotMeta.empty)), "0803")
  })

  it("leaves out a negative transaction id", () => {
    assert.strictEqual(
      hex(
        snapshotHead(
          { formatVersion: 0, compatVersion: 0 },
          { ...SnapshotMeta.empty, lmdbTxnID: -1n, fromLmdbTxnID: -5n }
        )
      ),
      ""
    )
  })

  it("a DBI's length may pass 2 and 4 GiB; one that says nothing is not written", () => {
    assert.strictEqual(hex(dbiHead(DbiName.fromText("ab"), 8, "t", 0)), "1a090a0261621808220174")
    assert.strictEqual(hex(dbiHead(DbiName.fromText("a"), 0, "", 5 * 2 ** 30 - 3)), "1a80808080140a0161")
    assert.strictEqual(hex(dbiHead(DbiName.fromText("a"), 0, "", 2 ** 53 - 4)), "1affffffffffffff0f0a0161")
    assert.strictEqual(dbiHead(DbiName.fromText(""), 0, "", 0).length, 0)
  })

  it("writes an entry's fields in the reference's order", () => {
    const encoder = new EntryEncoder(new Uint8Array(0))
    assert.strictEqual(encoder.add(Buffer.from("xkey"), 1, 4, Buffer.from("value"), 0, 2, 1, 0x0203_0405, 1), 22)
    assert.strictEqual(hex(encoder.bytes.subarray(0, encoder.length)), "12140a036b6579120276612001190504030201000000")
  })

  it("an entry with nothing in it is not written", () => {
    const encoder = new EntryEncoder()
    assert.strictEqual(encoder.add(Buffer.alloc(0), 0, 0, Buffer.alloc(0), 0, 0, 0, 0, 0), 0)
    assert.strictEqual(encoder.length, 0)
    assert.strictEqual(entrySize(0, 0, 0, 0), 0)
  })

  it.prop(
    "counts what it then writes, in a buffer that grows or is another one",
    [
      Size,
      Size,
      Schema.Literals([0, 1, 0x8000_0000, 0xffff_ffff]),
      Schema.Literals([0, 1, 0x8000_0000]),
      Schema.Literals([0, 1, 128, 0xffff_ffff])
    ],
    ([keyLength, valueLength, high, low, flags]) => {
      const encoder = new EntryEncoder(new Uint8Array(16))
      const key = new Uint8Array(keyLength).fill(1)
      const value = new Uint8Array(valueLength).fill(2)
      const add = () => encoder.add(key, 0, keyLength, value, 0, valueLength, high, low, flags)
      const counted = entrySize(keyLength, valueLength, flags, high | low)
      assert.strictEqual(add(), counted)
      const once = hex(encoder.bytes.subarray(0, encoder.length))
      assert.strictEqual(add(), counted)
      assert.strictEqual(encoder.length, 2 * counted)
      assert.strictEqual(hex(encoder.bytes.subarray(0, encoder.length)), once + once)
      const filled = encoder.bytes
      encoder.reset(new Uint8Array(8))
      add()
      assert.strictEqual(hex(encoder.bytes.subarray(0, encoder.length)), once)
      assert.strictEqual(hex(filled.subarray(0, counted)), once)
    }
  )
})
