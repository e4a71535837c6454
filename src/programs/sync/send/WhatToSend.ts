/**
 * The limits by which the Sender chooses between full snapshots and deltas. Source: docs/sync.md, Sending.
 *
 * If a full snapshot is due while changes are waiting, a delta with these changes is sent first, and the full snapshot
 * takes over its time, so that instances that follow the deltas do not download it.
 */
import type { DeltaChain } from "./DeltaChain.ts"

/**
 * Share of the bytes and entries of a full snapshot above which deltas cost more than they save. With one half, the
 * deltas between two full snapshots add less than half to what is stored and loaded.
 */
const fullShare = 1 / 2

/** Maximum number of entries and bytes of the next delta. */
export const limitsOfDelta = ({ full }: DeltaChain) => ({
  entriesMax: Math.floor(fullShare * full.entries),
  sizeMax: Math.floor(fullShare * full.size)
})

export interface Circumstances {
  /** Current time of the monotonic clock, in milliseconds. */
  readonly nowMillis: number
  /** Value of `full_snapshot_interval`. */
  readonly intervalMillis: number
  /** True if others wait for full snapshots: with `auto`, if an instance does not read deltas. */
  readonly areFullsAwaited: boolean
}

/** True if a full snapshot is due, which takes over the time of the last delta. */
export const isFullDue = (chain: DeltaChain, { areFullsAwaited, intervalMillis, nowMillis }: Circumstances): boolean =>
  chain.count > 0 &&
  (areFullsAwaited ||
    nowMillis - chain.full.storedMillis >= intervalMillis ||
    chain.bytes > fullShare * chain.full.size)
