/**
 * Decides between full snapshots and deltas. Source: docs/sync.md, Sending. Plain functions.
 *
 * A full snapshot that is due while changes wait comes after a delta of them, and takes over its time: whoever follows
 * the deltas does not download it.
 */
import type { DeltaChain } from "./DeltaChain.ts"

/**
 * Share of a full snapshot, of its bytes and of its entries, beyond which deltas cost more than they save. With one
 * half the deltas between two full snapshots add less than half to what is stored and loaded.
 */
const fullShare = 1 / 2

/** Maximum number of entries and bytes of the next delta. */
export const limitsOfDelta = ({ full }: DeltaChain) => ({
  entriesMax: Math.floor(fullShare * full.entries),
  sizeMax: Math.floor(fullShare * full.size)
})

export interface Circumstances {
  /** Monotonic time in milliseconds. */
  readonly nowMillis: number
  /** `full_snapshot_interval`. */
  readonly intervalMillis: number
  /** Others wait for full snapshots: `auto`, and an instance does not read deltas. */
  readonly areFullsAwaited: boolean
}

/** Whether a full snapshot is due of the state that the last delta has reached. */
export const isFullDue = (chain: DeltaChain, { areFullsAwaited, intervalMillis, nowMillis }: Circumstances): boolean =>
  chain.count > 0 &&
  (areFullsAwaited ||
    nowMillis - chain.full.storedMillis >= intervalMillis ||
    chain.bytes > fullShare * chain.full.size)
