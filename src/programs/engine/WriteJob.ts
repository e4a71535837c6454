/** Work that can be cut into several write transactions, and what makes it begin again. */
import { Data } from "effect"
import type * as DbiName from "../../domain/lmdb/DbiName.ts"
import type { WriteTransaction } from "../../services/Lmdb.ts"
import type { SnapshotKnowledge } from "./merge/SnapshotKnowledge.ts"

/** Results of `advance`: the chunk is used up, the time is up, or the work is done. */
export const State = { NeedChunk: 0, Paused: 1, End: 2 } as const

export interface WriteJob {
  /** Begins work in a transaction. `contiguous`: nobody else has committed since the job's data were read. */
  readonly attach: (transaction: WriteTransaction, contiguous: boolean) => void
  readonly advance: (deadline: number) => number
  /** Number of entries of the snapshot that were put. */
  readonly written: number
  /**
   * False while the transaction must not end: main lacks entries that are alive in the shadow, which would be taken for
   * deletions.
   */
  readonly divisible: boolean
  /** Releases cursors, at the end of each transaction. */
  readonly detach: () => void
}

/**
 * Thrown when the work so far is void and the merge must begin again: a DBI that it has seen is gone (`dropped`); the
 * end of the snapshot disproved what its first reading assumed (`known`); in shadow mode, the application has committed
 * (`moved`).
 */
export class BeginAgain extends Data.TaggedError("BeginAgain")<{
  readonly known?: SnapshotKnowledge
  readonly dropped?: DbiName.DbiName
  readonly moved?: boolean
}> {}
