/** Arbitrary snapshots: lengths around the steps of varints, numbers at their ends, entries with parts left out. */
import { Arbitrary, Schema } from "effect"
import * as DbiName from "../../src/domain/DbiName.ts"
import type { DecodedDbi, DecodedEntry, DecodedSnapshot } from "./DecodedSnapshot.ts"

const literals = <const L extends ReadonlyArray<string | number>>(values: L) =>
  Arbitrary.schema(Schema.Literals(values))
const integer = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const bytes = (length: Arbitrary.Arbitrary<number>) =>
  Arbitrary.map(Arbitrary.all([length, integer(0, 255)]), ([length, first]) => {
    const content = new Uint8Array(length)
    // Not all the same, so that a shifted read shows; tags of fields among them.
    for (let i = 0; i < length; i++) content[i] = first + i * 7
    return content
  })

const hex = (length: Arbitrary.Arbitrary<number>) =>
  Arbitrary.map(bytes(length), (content) => Buffer.from(content).toString("hex"))

const half = literals([0, 0, 1, 127, 128, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])
const unsigned64 = Arbitrary.map(Arbitrary.all([half, half]), ([high, low]) => (BigInt(high) << 32n) | BigInt(low))
const text = Arbitrary.map(bytes(literals([0, 1, 5, 127, 128, 300])), (content) =>
  Buffer.from(content).toString("latin1")
)

const entry: Arbitrary.Arbitrary<DecodedEntry> = Arbitrary.map(
  Arbitrary.all([
    hex(literals([1, 2, 4, 20, 126, 127, 128, 255, 256, 511])),
    hex(literals([0, 0, 1, 10, 60, 127, 128, 129, 1_000, 16_383, 16_384, 70_000])),
    unsigned64,
    literals([0, 0, 0, 1, 2, 127, 128, 255, 0xffff_ffff])
  ]),
  ([key, value, timestampNano, flags]) => ({ key, value, timestampNano, flags })
)

const dbi: Arbitrary.Arbitrary<DecodedDbi> = Arbitrary.map(
  Arbitrary.all([bytes(literals([0, 1, 3, 128, 511])), unsigned64, text, Arbitrary.array(entry, { maxLength: 12 })]),
  ([name, flags, transform, entries]) => ({ name: DbiName.fromBytes(name), flags, transform, entries })
)

export const snapshot: Arbitrary.Arbitrary<DecodedSnapshot> = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.all([half, half]),
    Arbitrary.all([text, text, text, text]),
    Arbitrary.all([unsigned64, unsigned64, unsigned64]),
    Arbitrary.array(dbi, { maxLength: 4 })
  ]),
  ([
    [formatVersion, compatVersion],
    [generationID, instanceID, hostname, databaseName],
    [lmdbTxnID, timestampNano, fromLmdbTxnID],
    dbis
  ]) => ({
    formatVersion,
    compatVersion,
    meta: {
      generationID,
      instanceID,
      hostname,
      databaseName,
      timestampNano,
      lmdbTxnID: BigInt.asUintN(63, lmdbTxnID),
      fromLmdbTxnID: BigInt.asUintN(63, fromLmdbTxnID)
    },
    // A DBI that says nothing is not written.
    dbis: dbis.filter(
      ({ entries, flags, name, transform }) => name !== "" || flags !== 0n || transform !== "" || entries.length > 0
    )
  })
)

/** Sizes of chunks, mostly small. */
export const chunkSizes = Arbitrary.array(literals([1, 1, 2, 3, 5, 8, 9, 13, 40, 100, 1_000, 20_000]), {
  minLength: 1,
  maxLength: 8
})
