/**
 * Decides which of two versions of an entry wins: the one with the larger timestamp; on a tie, the one with the smaller
 * application value; if these are equal, too, the tombstone. The value of a tombstone counts as empty. In format 1, an
 * empty value is a tombstone. This is a total order: without a cut-off, merging is commutative, associative and
 * idempotent. Source: docs/sync.md.
 *
 * The rule runs once per entry, takes and returns numbers, and allocates nothing. Usually both sides are equal, which
 * is the shortest path.
 */
import { compareBytes, type Sides } from "../bytes/ByteOrder.ts"
import type { EntryBatch } from "../snapshot/EntryBatch.ts"
import * as NativeHeader from "./NativeHeader.ts"

/** Result of `decide`: the local entry stays and nothing is written. */
export const KeepLocal = 0
/** Result of `decide`: the remote entry is to be written. */
export const TakeRemote = 1
// A negative decision is a code of `NativeHeader.readHeader`: the local value has no native header and must not be
// overwritten.

/** Result of `decideAbsent`: a tombstone that is too old to be added. */
export const Drop = 0
/** Result of `decideAbsent`: the remote entry is to be written. */
export const Add = 1

/** True when entry `i` is a tombstone. */
export const isTombstone = (batch: EntryBatch, i: number, formatVersion: number): boolean =>
  (batch.flags[i]! & NativeHeader.deletedFlag) !== 0 ||
  (formatVersion === 1 && batch.valueStart[i] === batch.valueEnd[i])

/**
 * Decides for a key that exists locally, with the raw value `local[start..end)`, header included. Returns `KeepLocal`,
 * `TakeRemote`, or a negative code of `NativeHeader.readHeader`. ByteOrder describes `sides`.
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
  // The empty value is the smallest one, and a tombstone precedes it, so no entry with this timestamp wins over a
  // tombstone.
  if (localDeleted) return KeepLocal
  if (remoteDeleted) return TakeRemote
  return compareBytes(batch.bytes, batch.valueStart[i]!, batch.valueEnd[i]!, local, value, end, sides) < 0
    ? TakeRemote
    : KeepLocal
}

/**
 * Decides for a key that does not exist locally. Returns `Add`, or `Drop` for a tombstone older than the load cut-off.
 * The cut-off is in nanoseconds, as two 32-bit halves; 0 means none.
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
