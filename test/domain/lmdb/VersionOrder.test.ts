/** The order of versions is that of the merge rule. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { decide, KeepLocal, TakeRemote } from "../../../src/domain/lmdb/MergeRule.ts"
import { compareVersions, type Version } from "../../../src/domain/lmdb/VersionOrder.ts"
import * as EntryBatch from "../../../src/domain/snapshot/EntryBatch.ts"
import * as NativeHeader from "../../../src/domain/lmdb/NativeHeader.ts"

const Half = Schema.Literals([0, 1, 0x7fff_ffff, 0xffff_ffff])

const Versions = Schema.Struct({
  timestampHigh: Half,
  timestampLow: Half,
  isDeleted: Schema.Boolean,
  text: Schema.Literals(["", "a", "ab", "b", "\u00ff"])
})

/** In the middle of other bytes. */
const versionOf = ({ text, ...version }: typeof Versions.Type): Version => {
  const value = Buffer.from(`xx${text}yy`, "latin1")
  return { ...version, value, valueStart: 2, valueEnd: value.length - 2 }
}

const batchOf = (version: Version): EntryBatch.EntryBatch => {
  const batch = EntryBatch.make(1)
  batch.bytes = version.value
  batch.valueStart[0] = version.valueStart
  batch.valueEnd[0] = version.valueEnd
  batch.timestampHigh[0] = version.timestampHigh
  batch.timestampLow[0] = version.timestampLow
  batch.flags[0] = version.isDeleted ? 1 : 0
  return batch
}

const rawOf = (version: Version): Uint8Array => {
  const header = Buffer.alloc(NativeHeader.size)
  const { isDeleted, timestampHigh, timestampLow } = version
  NativeHeader.writeHeader(header, 0, timestampHigh, timestampLow, 0, 7, isDeleted, 0)
  return Buffer.concat([header, version.value.subarray(version.valueStart, version.valueEnd)])
}

describe("the order of versions", () => {
  it.effect.prop("decides as the merge rule does", [Arbitrary.schema(Versions), Arbitrary.schema(Versions)], ([a, b]) =>
    Effect.sync(() => {
      const local = versionOf(a)
      const remote = versionOf(b)
      const raw = rawOf(local)
      const order = compareVersions(remote, local)
      assert.strictEqual(decide(raw, 0, raw.length, batchOf(remote), 0, 3), order > 0 ? TakeRemote : KeepLocal)
      assert.strictEqual(Math.sign(compareVersions(local, remote)) + Math.sign(order), 0)
      const isSame =
        a.timestampHigh === b.timestampHigh &&
        a.timestampLow === b.timestampLow &&
        a.isDeleted === b.isDeleted &&
        (a.isDeleted || a.text === b.text)
      assert.strictEqual(order === 0, isSame)
    })
  )
})
