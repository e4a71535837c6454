/**
 * The state that the loops of one database share: the index of the bucket, what was sent, and a notification that wakes
 * waiting loops. It is plain state on the main thread, and only changes where a loop yields.
 */
import { Effect, Latch } from "effect"
import type { Database } from "../../services/Database.ts"
import type { CleanerPlan } from "./CleanerPlan.ts"
import { LastDump } from "./LastDump.ts"
import type { DeltaChain } from "./send/DeltaChain.ts"
import { SnapshotIndex } from "./SnapshotIndex.ts"
import { SyncFacts } from "./facts/SyncFacts.ts"

export interface DatabaseSyncOptions {
  /** Name of the database: its key under `lmdbs`. */
  readonly database: string
  /** Name of the instance as in object names. */
  readonly instance: string
  readonly hostname: string
  /** True for `receive`, which never writes to the bucket. */
  readonly receiveOnly: boolean
  readonly onlyOnce: boolean
  /** Value of `--accept-stale`: merge and send even data that are older than the retention of tombstones. */
  readonly acceptStale: boolean
  /** Value of `spool_keep_last`. */
  readonly keepLast: boolean
}

export class SyncState {
  readonly options: DatabaseSyncOptions
  readonly database: Database["Service"]
  readonly index: SnapshotIndex
  /** The cleaner, which is informed of merges and stores, or undefined if nothing is cleaned. */
  readonly cleaner: CleanerPlan | undefined
  readonly lastDump: LastDump
  /** Facts for metrics and the status page. */
  readonly facts = new SyncFacts()
  /** Id of the transaction up to which all transactions of the application are in a stored snapshot of ours. */
  sentThrough = 0n
  /** The objects that this process has stored since its last full snapshot, or undefined before the first one. */
  chain: DeltaChain | undefined
  /** Number of snapshots that another process has written under our name and whose merge has changed something. */
  foreignMerged = 0
  /** Number of these snapshots whose content is in a stored snapshot of ours. */
  foreignSent = 0
  /** LMDB's last transaction id as of the last poll. */
  lastTransactionId = 0n
  /** Id of the application's last transaction as of the last poll. */
  lastForeign = 0n
  /** Number of times that tracking was given up that the metric already includes. */
  trackerGivenUp = 0
  /** True once the first snapshot is stored, or if there is nothing to store. */
  firstStoreDone = false
  /**
   * True if the LMDB is older than the retention of tombstones, so that sending it could bring deleted entries back.
   */
  stale = false
  /** Newest time of the entries before the first merge, in nanoseconds, or 0 without entries or if it is not needed. */
  newestAtOpen = 0n
  /** The time of a stale LMDB's newest entry, found now or by an earlier run, 0 if unknown. Undefined if not stale. */
  staleBy: bigint | undefined
  /** Number of refused, corrupt or missing snapshots. If there are any, `--only-once` ends with 1. */
  problems = 0
  private readonly latches: Array<Latch.Latch> = []

  constructor(options: DatabaseSyncOptions, database: Database["Service"], cleaner?: CleanerPlan) {
    this.options = options
    this.database = database
    this.cleaner = cleaner
    this.lastDump = new LastDump(options.keepLast)
    this.index = new SnapshotIndex(options.database, options.instance)
  }

  /** Wakes all waiting loops, because something has changed. */
  readonly notify = Effect.sync(() => {
    for (const latch of this.latches) latch.openUnsafe()
  })

  /** Returns an effect that waits for a `notify` since it last completed. The first time, it does not wait. */
  wakeups(): Effect.Effect<void> {
    const latch = Latch.makeUnsafe(true)
    this.latches.push(latch)
    return Effect.andThen(latch.await, latch.close)
  }

  /**
   * True when the first listing is done, the first snapshot is stored or need not or must not be stored, and everything
   * that was waited for is merged, has disappeared or is quarantined.
   */
  get isReady(): boolean {
    const { isBlocked, listed, waiting } = this.index
    return listed && waiting.length === 0 && (this.firstStoreDone || this.options.receiveOnly || isBlocked)
  }

  /** True if changes of the application, or of another process under our name, are in no stored snapshot of ours. */
  get hasUnsent(): boolean {
    return !this.options.receiveOnly && (this.lastForeign > this.sentThrough || this.foreignMerged > this.foreignSent)
  }
}
