/**
 * Where a merge writes to, in a write transaction: what differs between native and shadow mode. Entries go into the DBI
 * that has the headers (`headersOf`); in shadow mode what the application sees follows in the same transaction.
 */
import type { DbiName } from "../../../domain/lmdb/DbiName.ts"
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"
import type { WriteTransaction } from "../../../services/Lmdb.ts"
import type { Sink } from "./MergeEntries.ts"

/** What is there of a DBI at the begin of its merge. */
export interface Entered {
  /** Entries with headers, of the transaction so far. 0: what is put may be appended. */
  readonly entries: number
  /** Work to be done before the first put, in the same transaction, in steps: true when it is done. */
  readonly prepare: ((steps: number) => boolean) | undefined
}

export interface Target extends Sink {
  /** Entries put. */
  readonly written: number
  /** A write transaction has begun. */
  readonly begin: (transaction: WriteTransaction) => void
  /** Whether the application's DBI is there. Throws for one that cannot be synced. */
  readonly exists: (dbi: DbiName) => boolean
  /** Before the first put into a DBI: makes what is missing. */
  readonly enter: (head: DbiHead) => Entered
  /** What is put from now on goes into that DBI. `append`: each key comes after all keys of the DBI. */
  readonly into: (head: DbiHead, append: boolean) => void
  /** Nothing of the transaction is used any more. */
  readonly end: () => void
}
