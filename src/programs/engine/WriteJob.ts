/** Work that can be divided into several write transactions, and the error that makes a merge begin again. */
import { Data } from "effect"
import type * as DbiName from "../../domain/lmdb/DbiName.ts"
import type { WriteTransaction } from "../../services/Lmdb.ts"
import type { SnapshotKnowledge } from "./merge/SnapshotKnowledge.ts"

/** Results of `advance`: the chunk is used up, the time is up, or the work is done. */
export const State = { NeedChunk: 0, Paused: 1, End: 2 } as const

export interface WriteJob {
  /**
   * Begins work in a transaction. `contiguous` is true if nothing else was committed since the job's data were read.
   */
  readonly attach: (transaction: WriteTransaction, contiguous: boolean) => void
  readonly advance: (deadline: number) => number
  /** Number of entries of the snapshot that were put. */
  readonly written: number
  /**
   * False while the transaction must not end, because main lacks live entries of the shadow, which would count as
   * deleted.
   */
  readonly divisible: boolean
  /** Releases cursors. Called at the end of each transaction. */
  readonly detach: () => void
}

/**
 * Thrown when the merge must begin again: a DBI that it has read was dropped (`dropped`), the end of the snapshot has
 * disproved an assumption of the first reading (`known`), or, in shadow mode, the application has committed (`moved`).
 */
export class BeginAgain extends Data.TaggedError("BeginAgain")<{
  readonly known?: SnapshotKnowledge
  readonly dropped?: DbiName.DbiName
  readonly moved?: boolean
}> {}
