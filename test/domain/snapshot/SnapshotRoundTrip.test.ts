/**
 * Against an independent codec: what either side writes, the other reads the same. And against ourselves: chunks,
 * truncation, flipped bits.
 */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import protobuf from "protobufjs"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import { SnapshotCorrupt } from "../../../src/domain/snapshot/SnapshotCorrupt.ts"
import { cut, decode, decodeChunks, type DecodedSnapshot, encode } from "../../support/fixtures/DecodedSnapshot.ts"
import * as SnapshotArbitrary from "../../support/fixtures/SnapshotArbitrary.ts"

// Name and transform as bytes, which is the same on the wire: names are not always UTF-8.
const Snapshot = protobuf
  .parse(
    `
  syntax = "proto3";
  message Snapshot {
    uint32 formatVersion = 1;
    Meta meta = 2;
    repeated DBI databases = 3;
    uint32 compatVersion = 4;
  }
  message Meta {
    string generationID = 1;
    string instanceID = 2;
    string hostname = 3;
    int64 lmdbTxnID = 4;
    fixed64 timestampNano = 5;
    string databaseName = 7;
    int64 fromLmdbTxnID = 8;
  }
  message DBI {
    bytes name = 1;
    repeated KV entries = 2;
    uint64 flags = 3;
    string transform = 4;
  }
  message KV {
    bytes key = 1;
    bytes value = 2;
    fixed64 timestampNano = 3;
    uint32 flags = 4;
  }
`
  )
  .root.lookupType("Snapshot")

/** By field numbers, entries' flags after their timestamp: as 0.2 and 0.3 wrote. */
const encodeElsewhere = (snapshot: DecodedSnapshot): Uint8Array =>
  new Uint8Array(
    Snapshot.encode(
      Snapshot.fromObject({
        formatVersion: snapshot.formatVersion,
        compatVersion: snapshot.compatVersion,
        meta: Object.fromEntries(Object.entries(snapshot.meta).map(([field, value]) => [field, String(value)])),
        databases: snapshot.dbis.map(({ entries, flags, name, transform }) => ({
          name: Buffer.from(DbiName.toBytes(name)),
          flags: String(flags),
          transform,
          entries: entries.map((entry) => ({
            key: Buffer.from(entry.key, "hex"),
            value: Buffer.from(entry.value, "hex"),
            timestampNano: String(entry.timestampNano),
            flags: entry.flags
          }))
        }))
      })
    ).finish()
  )

interface Elsewhere {
  readonly formatVersion: number
  readonly compatVersion: number
  readonly meta: Readonly<Record<string, string>> | null
  readonly databases: ReadonlyArray<{
    readonly name: string
    readonly flags: string
    readonly transform: string
    readonly entries: ReadonlyArray<{
      readonly key: string
      readonly value: string
      readonly timestampNano: string
      readonly flags: number
    }>
  }>
}

const hexOf = (base64: string): string => Buffer.from(base64, "base64").toString("hex")

const decodeElsewhere = (message: Uint8Array): DecodedSnapshot => {
  const { compatVersion, databases, formatVersion, meta } = Snapshot.toObject(Snapshot.decode(message), {
    defaults: true,
    longs: String,
    bytes: String
  }) as Elsewhere
  const {
    databaseName = "",
    fromLmdbTxnID = "0",
    generationID = "",
    hostname = "",
    instanceID = "",
    lmdbTxnID = "0",
    timestampNano = "0"
  } = meta ?? {}
  return {
    formatVersion,
    compatVersion,
    meta: {
      generationID,
      instanceID,
      hostname,
      databaseName,
      lmdbTxnID: BigInt(lmdbTxnID),
      timestampNano: BigInt(timestampNano),
      fromLmdbTxnID: BigInt(fromLmdbTxnID)
    },
    dbis: databases.map(({ entries, flags, name, transform }) => ({
      name: DbiName.fromBytes(Buffer.from(name, "base64")),
      flags: BigInt(flags),
      transform,
      entries: entries.map((entry) => ({
        key: hexOf(entry.key),
        value: hexOf(entry.value),
        timestampNano: BigInt(entry.timestampNano),
        flags: entry.flags
      }))
    }))
  }
}

/** The contents, or "corrupt"; anything else that is thrown fails the test. */
const outcome = (chunks: ReadonlyArray<Uint8Array>): DecodedSnapshot | "corrupt" => {
  try {
    return decodeChunks(chunks)
  } catch (error) {
    if (error instanceof SnapshotCorrupt) return "corrupt"
    throw error
  }
}

const small: DecodedSnapshot = {
  formatVersion: 3,
  compatVersion: 1,
  meta: {
    generationID: "GX",
    instanceID: "a",
    hostname: "h",
    databaseName: "main",
    lmdbTxnID: 300n,
    timestampNano: 1n << 63n,
    fromLmdbTxnID: 1n
  },
  dbis: [
    {
      name: DbiName.fromText("one"),
      flags: 8n,
      transform: "t",
      entries: [
        { key: "01", value: "ff".repeat(200), timestampNano: 5n, flags: 1 },
        { key: "02".repeat(130), value: "", timestampNano: 0n, flags: 300 },
        { key: "03", value: "00", timestampNano: 1n << 40n, flags: 0 }
      ]
    },
    { name: DbiName.fromText("two"), flags: 0n, transform: "", entries: [] }
  ]
}

describe("snapshots", () => {
  it.prop("what we write, protobufjs reads the same", [SnapshotArbitrary.snapshot], ([snapshot]) => {
    assert.deepStrictEqual(decodeElsewhere(encode(snapshot)), snapshot)
  })

  it.prop(
    "what protobufjs writes, we read the same, whatever the chunks",
    [SnapshotArbitrary.snapshot, SnapshotArbitrary.chunkSizes],
    ([snapshot, sizes]) => {
      assert.deepStrictEqual(decode(encodeElsewhere(snapshot), ...sizes), snapshot)
    }
  )

  it.prop(
    "what we write, we read the same, whatever the chunks",
    [SnapshotArbitrary.snapshot, SnapshotArbitrary.chunkSizes],
    ([snapshot, sizes]) => {
      const message = encode(snapshot)
      assert.deepStrictEqual(decode(message), snapshot)
      assert.deepStrictEqual(decode(message, ...sizes), snapshot)
    }
  )

  it("cut off at any byte, it is corrupt, or a shorter snapshot when that ends between two fields", () => {
    for (const message of [encode(small), encodeElsewhere(small)]) {
      let valid = 0
      for (let length = 0; length < message.length; length++) {
        const whole = outcome([message.slice(0, length)])
        assert.deepStrictEqual(outcome(cut(message.slice(0, length), [1])), whole)
        if (whole !== "corrupt") valid++
      }
      // Nothing, and after each field of the top but the last.
      assert.strictEqual(valid, 5)
    }
  })

  it.prop(
    "with any bits flipped, it is corrupt or another valid snapshot, and the same whatever the chunks",
    [
      Schema.Array(
        Schema.Struct({
          at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 })),
          bits: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 255 }))
        })
      ).check(Schema.isMinLength(1), Schema.isMaxLength(6)),
      SnapshotArbitrary.chunkSizes
    ],
    ([flips, sizes]) => {
      for (const message of [encode(small), encodeElsewhere(small)]) {
        for (const { at, bits } of flips) message[at % message.length]! ^= bits
        const whole = outcome([message.slice()])
        assert.deepStrictEqual(outcome(cut(message, sizes)), whole)
        assert.deepStrictEqual(outcome(cut(message, [1])), whole)
      }
    },
    { arbitrary: { runs: 1_000 } }
  )
})
