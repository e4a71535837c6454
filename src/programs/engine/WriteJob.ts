/** Work that can be cut into several write transactions, and what makes it begin again. */
import { Data } from "effect"
import type * as DbiName from "../../domain/lmdb/DbiName.ts"
import type { WriteTransaction } from "../../services/Lmdb.ts"
import type { SnapshotKnowledge } from "./merge/SnapshotKnowledge.ts"

/** What `advance` stopped at: the chunk is read, the time is up, or the work is done. */
export const State = { NeedChunk: 0, Paused: 1, End: 2 } as const

export interface WriteJob {
  /** Before any work in a transaction. `contiguous`: nobody else has committed since what this job knows was read. */
  readonly attach: (transaction: WriteTransaction, contiguous: boolean) => void
  readonly advance: (deadline: number) => number
  /** Entries of the snapshot that were put. */
  readonly written: number
  /**
   * False while the transaction must not end: main has not all that lives in the shadow, which would be taken for
   * deletions.
   */
  readonly divisible: boolean
  /** Lets go of cursors, at the end of each transaction. */
  readonly detach: () => void
}

/**
 * Thrown when what was done so far is worth nothing: a DBI that the merge has seen is gone (`dropped`); the snapshot's
 * first reading, inside the transaction, took something for granted that its end disproved (`known`); in shadow mode
 * the application has committed (`moved`).
 */
export class BeginAgain extends Data.TaggedError("BeginAgain")<{
  readonly known?: SnapshotKnowledge
  readonly dropped?: DbiName.DbiName
  readonly moved?: boolean
}> {}
