import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { Sides } from "../../../src/domain/bytes/ByteOrder.ts"
import * as EntryBatch from "../../../src/domain/snapshot/EntryBatch.ts"
import * as MergeRule from "../../../src/domain/lmdb/MergeRule.ts"
import * as NativeHeader from "../../../src/domain/lmdb/NativeHeader.ts"
import * as Golden from "../../support/fixtures/Golden.ts"

interface Version {
  /** Hexadecimal. */
  readonly value: string
  readonly timestampNano: bigint
  readonly flags: number
}

const high = (value: bigint): number => Number(value >> 32n)
const low = (value: bigint): number => Number(value & 0xffff_ffffn)

/** As entry 1 of a batch, in the middle of other bytes. */
const batchOf = (remote: Version): EntryBatch.EntryBatch => {
  const batch = EntryBatch.make(2)
  const value = Buffer.from(remote.value, "hex")
  batch.bytes = Buffer.concat([Buffer.alloc(11, 0xee), value, Buffer.alloc(30)])
  batch.count = 2
  batch.valueStart[1] = 11
  batch.valueEnd[1] = 11 + value.length
  batch.timestampHigh[1] = high(remote.timestampNano)
  batch.timestampLow[1] = low(remote.timestampNano)
  batch.flags[1] = remote.flags
  return batch
}

/** What is written for the remote version: a tombstone loses its bytes. */
const written = (remote: Version, formatVersion: number, txnID: bigint): Buffer => {
  const deleted = MergeRule.isTombstone(batchOf(remote), 1, formatVersion)
  const header = Buffer.alloc(24)
  NativeHeader.writeHeader(
    header,
    0,
    high(remote.timestampNano),
    low(remote.timestampNano),
    high(txnID),
    low(txnID),
    deleted,
    0
  )
  return deleted ? header : Buffer.concat([header, Buffer.from(remote.value, "hex")])
}

interface Merges {
  readonly txnID: string
  readonly merges: ReadonlyArray<{
    readonly name: string
    readonly local: string | null
    readonly remote: { readonly value: string; readonly timestampNano: string; readonly flags: number }
    readonly formatVersion: number
    readonly loadCutOff: string
    readonly winner: "local" | "remote" | "none" | "error"
    readonly written: string | null
  }>
}

const sides = new Sides()

/** The raw local value after merging, or undefined when there is none. */
const merge = (
  local: Buffer | undefined,
  remote: Version,
  formatVersion: number,
  cutOff = 0n,
  txnID = 7n
): Buffer | undefined => {
  const batch = batchOf(remote)
  if (local === undefined) {
    return MergeRule.decideAbsent(batch, 1, formatVersion, high(cutOff), low(cutOff)) === MergeRule.Add
      ? written(remote, formatVersion, txnID)
      : undefined
  }
  // Also in the middle of other bytes.
  const raw = Buffer.concat([Buffer.alloc(3, 0xdd), local, Buffer.alloc(40)])
  const decision = MergeRule.decide(raw, 3, 3 + local.length, batch, 1, formatVersion)
  assert.strictEqual(MergeRule.decide(raw, 3, 3 + local.length, batch, 1, formatVersion, sides), decision)
  if (decision < 0) throw new Error(NativeHeader.problemOf(decision))
  return decision === MergeRule.TakeRemote ? written(remote, formatVersion, txnID) : local
}

// Few values of each kind, so that ties are the rule.
const AnyVersion = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.schema(Schema.Literals(["", "00", "61", "6162", "80", "61".repeat(100), `${"61".repeat(99)}62`])),
    Arbitrary.schema(Schema.Literals(["0", "1", "4294967296", "9223372036854775808", "18446744073709551615"])),
    Arbitrary.schema(Schema.Literals([0, 1, 0xfe, 0xff]))
  ]),
  ([value, timestamp, flags]): Version => ({ value, timestampNano: BigInt(timestamp), flags })
)

/** What counts of a local value: everything but the transaction id, and a tombstone's bytes. */
const essence = (local: Buffer | undefined): string | undefined => {
  if (local === undefined) return undefined
  const deleted = NativeHeader.isDeleted(local, 0)
  return `${local.subarray(0, 8).toString("hex")} ${deleted} ${deleted ? "" : local.subarray(24).toString("hex")}`
}

const mergeAll = (versions: ReadonlyArray<Version>, formatVersion: number) =>
  versions.reduce<Buffer | undefined>((local, version) => merge(local, version, formatVersion), undefined)

describe("MergeRule", () => {
  it.effect("decides each golden case as listed", () =>
    Effect.gen(function* () {
      const { merges, txnID } = yield* Golden.readJson<Merges>("merge.json")
      for (const { formatVersion, loadCutOff, local, name, remote, winner, written } of merges) {
        const version = { ...remote, timestampNano: BigInt(remote.timestampNano) }
        const raw = local === null ? undefined : Buffer.from(local, "hex")
        if (winner === "error") {
          assert.throws(() => merge(raw, version, formatVersion), /the (value|header)/, name)
          continue
        }
        const after = merge(raw, version, formatVersion, BigInt(loadCutOff), BigInt(txnID))
        assert.strictEqual(
          after?.toString("hex"),
          winner === "none" ? undefined : winner === "local" ? local! : written!,
          name
        )
      }
    })
  )

  const Format = Schema.Literals([1, 2, 3, 4])

  it.prop(
    "the order of two versions does not matter",
    [AnyVersion, AnyVersion, Format],
    ([a, b, format]) => {
      assert.strictEqual(essence(mergeAll([a, b], format)), essence(mergeAll([b, a], format)))
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "how three versions are grouped and ordered does not matter",
    [AnyVersion, AnyVersion, AnyVersion, Format],
    ([a, b, c, format]) => {
      const expected = essence(mergeAll([a, b, c], format))
      for (const order of [
        [a, c, b],
        [b, a, c],
        [b, c, a],
        [c, a, b],
        [c, b, a]
      ]) {
        assert.strictEqual(essence(mergeAll(order, format)), expected)
      }
      // The result of two, sent on by another instance in the current format, against the third.
      const two = mergeAll([b, c], format)!
      const relayed: Version = {
        value: two.subarray(24).toString("hex"),
        timestampNano: two.readBigUInt64BE(0),
        flags: NativeHeader.flags(two, 0)
      }
      assert.strictEqual(essence(merge(mergeAll([a], format), relayed, 3)), expected)
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "a version that was merged already changes nothing, and nothing is written",
    [AnyVersion, AnyVersion, Format],
    ([a, b, format]) => {
      const merged = mergeAll([a, b], format)
      assert.strictEqual(merge(merged, a, format), merged)
      assert.strictEqual(merge(merged, b, format), merged)
    },
    { arbitrary: { runs: 500 } }
  )
})
