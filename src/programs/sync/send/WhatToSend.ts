/**
 * The limits by which the Sender chooses between full snapshots and deltas. Source: docs/sync.md, Sending.
 *
 * If a full snapshot is due while changes are waiting, a delta with these changes is sent first, and the full snapshot
 * takes over its time, so that instances that follow the deltas do not download it.
 */
import { fullShareMax } from "../../../domain/snapshot/DeltaLimits.ts"
import type { DeltaChain } from "./DeltaChain.ts"

/** Maximum number of entries and bytes of the next delta. */
export const limitsOfDelta = ({ full }: DeltaChain) => ({
  entriesMax: Math.floor(fullShareMax * full.entries),
  sizeMax: Math.floor(fullShareMax * full.size)
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
    chain.bytes > fullShareMax * chain.full.size)
