/**
 * Which of two versions of an entry wins: the larger timestamp; else the smaller application value; else the tombstone.
 * A tombstone's value counts as empty, whatever bytes it carries. In format 1 an empty value is a tombstone. A total
 * order, so without a cut-off merging is commutative, associative and idempotent. Source: docs/sync.md.
 *
 * Decided once per entry: plain numbers in, a number out, nothing is allocated. Mostly both sides are equal, so that is
 * the path without a detour.
 */
import { compareBytes, type Sides } from "../bytes/ByteOrder.ts"
import type { EntryBatch } from "../snapshot/EntryBatch.ts"
import * as NativeHeader from "./NativeHeader.ts"

/** What `decide` gives: the local entry stays as it is, nothing is written. */
export const KeepLocal = 0
/** What `decide` gives: the remote entry is to be written. */
export const TakeRemote = 1
// A negative decision is a code of `NativeHeader.readHeader`: the local value has no native header, and must not be
// overwritten.

/** What `decideAbsent` gives: a tombstone that is too old to be added. */
export const Drop = 0
/** What `decideAbsent` gives: the remote entry is to be written. */
export const Add = 1

/** Whether entry `i` is a deletion. */
export const isTombstone = (batch: EntryBatch, i: number, formatVersion: number): boolean =>
  (batch.flags[i]! & NativeHeader.deletedFlag) !== 0 ||
  (formatVersion === 1 && batch.valueStart[i] === batch.valueEnd[i])

/**
 * The key is there locally, with the raw value `local[start..end)`, header included: `KeepLocal`, `TakeRemote`, or a
 * negative code of `NativeHeader.readHeader`. `sides`: as in ByteOrder.
 */
export const decide = (
  local: Uint8Array,
  start: number,
  end: number,
  batch: EntryBatch,
  i: number,
  formatVersion: number,
  sides?: Sides
): number => {
  const value = NativeHeader.readHeader(local, start, end)
  if (value < 0) return value
  const high = NativeHeader.timestampHigh(local, start)
  if (high !== batch.timestampHigh[i]!) return high < batch.timestampHigh[i]! ? TakeRemote : KeepLocal
  const low = NativeHeader.timestampLow(local, start)
  if (low !== batch.timestampLow[i]!) return low < batch.timestampLow[i]! ? TakeRemote : KeepLocal
  const localDeleted = NativeHeader.isDeleted(local, start)
  const remoteDeleted = isTombstone(batch, i, formatVersion)
  // An empty value is the smallest, and a tombstone goes before that: nothing beats it.
  if (localDeleted) return KeepLocal
  if (remoteDeleted) return TakeRemote
  return compareBytes(batch.bytes, batch.valueStart[i]!, batch.valueEnd[i]!, local, value, end, sides) < 0
    ? TakeRemote
    : KeepLocal
}

/**
 * The key is not there locally: `Add`, or `Drop` for a tombstone older than the load cut-off, which is not added. The
 * cut-off is in nanoseconds, as two halves; 0 is none.
 */
export const decideAbsent = (
  batch: EntryBatch,
  i: number,
  formatVersion: number,
  cutOffHigh: number,
  cutOffLow: number
): number => {
  const high = batch.timestampHigh[i]!
  const older = high < cutOffHigh || (high === cutOffHigh && batch.timestampLow[i]! < cutOffLow)
  return older && isTombstone(batch, i, formatVersion) ? Drop : Add
}
