/**
 * The target of a merge in a write transaction, which depends on the mode. Entries go into the DBI that has the headers
 * (`headersOf`). In shadow mode main follows in the same transaction.
 */
import type { DbiName } from "../../../../domain/lmdb/DbiName.ts"
import type { DbiHead } from "../../../../domain/snapshot/SnapshotRules.ts"
import type { WriteTransaction } from "../../../../services/Lmdb.ts"
import type { SteppedWork } from "../../Engine.ts"
import type { Sink } from "../MergeEntries.ts"

/** State of a DBI at the beginning of its merge. */
export interface Entered {
  /** Number of entries with headers so far. With 0, puts may append. */
  readonly entries: number
  /** Work to be done before the first put, in the same transaction. */
  readonly prepare: SteppedWork | undefined
}

export interface Target extends Sink {
  /** Number of entries that were put. */
  readonly written: number
  /** Begins a write transaction. */
  readonly begin: (transaction: WriteTransaction) => void
  /** Whether the application's DBI exists. Throws if it cannot be synced. */
  readonly exists: (dbi: DbiName) => boolean
  /** Prepares a DBI for the first put: creates what is missing. */
  readonly enter: (head: DbiHead) => Entered
  /** Directs puts into a DBI. `append`: each key comes after all keys of the DBI. */
  readonly into: (head: DbiHead, append: boolean) => void
  /** Ends the use of the transaction. */
  readonly end: () => void
}
