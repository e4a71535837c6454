/**
 * The target of a merge in a write transaction, which depends on the mode. Entries are put into the DBI that has the
 * headers (`headersOf`). In shadow mode, the application's DBI is updated in the same transaction.
 */
import type { DbiName } from "../../../../domain/lmdb/DbiName.ts"
import type { DbiHead } from "../../../../domain/snapshot/SnapshotRules.ts"
import type { WriteTransaction } from "../../../../services/Lmdb.ts"
import type { SteppedWork } from "../../Engine.ts"
import type { Sink } from "../MergeEntries.ts"

/** State of a DBI at the beginning of its merge. */
export interface Entered {
  /** Number of entries in the DBI that has the headers. If it is 0, puts may append. */
  readonly entries: number
  /** Work to be done before the first put, in the same transaction. */
  readonly prepare: SteppedWork | undefined
}

export interface Target extends Sink {
  /** Number of entries that were put. */
  readonly written: number
  /** Begins a write transaction. */
  readonly begin: (transaction: WriteTransaction) => void
  /** Returns whether the application's DBI exists. Throws if it cannot be synced. */
  readonly exists: (dbi: DbiName) => boolean
  /** Prepares a DBI for the first put, by creating the DBIs that are missing. */
  readonly enter: (head: DbiHead) => Entered
  /** Directs the following puts to a DBI. `append` is true if each key comes after all keys of the DBI. */
  readonly into: (head: DbiHead, append: boolean) => void
  /** Ends the use of the transaction. */
  readonly end: () => void
}
