/**
 * What makes the whole system converge: merging is a function of the set of snapshots, not of their order or number.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import type { DecodedDbi, DecodedEntry, DecodedSnapshot } from "../../../support/fixtures/DecodedSnapshot.ts"
import * as CompressionSync from "../../../support/fixtures/CompressionSync.ts"
import { contentOf, mergeSnapshot, shown } from "../../../support/fixtures/LastWriteWins.ts"
import { databaseOptions, dump, lastId, merge, over, raw } from "../../../support/fixtures/Environments.ts"
import { objectOf, ofDbis } from "../../../support/fixtures/Snapshots.ts"

const oneOf = <const L extends ReadonlyArray<string | number>>(values: L) => Arbitrary.schema(Schema.Literals(values))
const below = (limit: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 })))

/** Few keys, times and values, so that everything ties with everything. */
const entry: Arbitrary.Arbitrary<DecodedEntry> = Arbitrary.map(
  Arbitrary.all([
    oneOf(["01", "0100", "02", "ff", "ff00"]),
    oneOf(["", "00", "61", "6161", "62"]),
    below(3),
    oneOf([0, 0, 1, 2, 3])
  ]),
  ([key, value, timestamp, flags]) => ({ key, value, flags, timestampNano: BigInt(timestamp) })
)

const risingKeys = (entries: ReadonlyArray<DecodedEntry>): ReadonlyArray<DecodedEntry> =>
  Array.from(new Map(entries.map((each) => [each.key, each])).values()).sort((a, b) => (a.key < b.key ? -1 : 1))

const dbi: Arbitrary.Arbitrary<DecodedDbi> = Arbitrary.map(
  Arbitrary.all([oneOf(["a", "b", "_sync_x"]), Arbitrary.array(entry, { maxLength: 6 })]),
  ([name, entries]) => ({ name: DbiName.fromText(name), flags: 0n, transform: "", entries: risingKeys(entries) })
)

const snapshot: Arbitrary.Arbitrary<DecodedSnapshot> = Arbitrary.map(
  Arbitrary.all([Arbitrary.array(dbi, { maxLength: 4 }), oneOf([1, 2, 3, 4])]),
  ([dbis, formatVersion]) => ofDbis(dbis, formatVersion)
)

/** Snapshots, and for each replica in which order it meets them, some more than once. */
const histories = Arbitrary.all([
  Arbitrary.array(snapshot, { minLength: 1, maxLength: 4 }),
  Arbitrary.array(Arbitrary.array(below(4), { maxLength: 6 }), { minLength: 2, maxLength: 4 }),
  oneOf([0, 1])
])

describe("Merge", () => {
  it.live.prop(
    "in any order, any number of times, snapshots give the same database on every replica",
    [histories],
    ([[snapshots, orders, mergeLockMillis]]) =>
      Effect.gen(function* () {
        const expected = shown(snapshots.reduce(mergeSnapshot, contentOf([])))
        const objects = snapshots.map(objectOf)
        const again: Array<Uint8Array> = []
        for (const [replica, order] of orders.entries()) {
          yield* Effect.provide(
            Effect.gen(function* () {
              for (const index of order) yield* merge(objects[index % objects.length]!)
              // Whatever it missed.
              for (let index = 0; index < objects.length; index++)
                yield* merge(objects[(index + replica) % objects.length]!)
              assert.deepStrictEqual(shown(contentOf(yield* raw)), expected)
              again.push((yield* dump()).object)
              const id = yield* lastId
              for (const object of [...objects, ...again]) assert.strictEqual((yield* merge(object)).entriesWritten, 0)
              assert.strictEqual(yield* lastId, id, "nothing new is not even a transaction")
            }),
            over(LmdbMemory.layerWith(), databaseOptions({ mergeLockMillis }), CompressionSync.layer),
            { local: true }
          )
        }
      }),
    { arbitrary: { runs: 80 } }
  )
})
