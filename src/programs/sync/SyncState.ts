/**
 * What the loops of one database share: the index of the bucket, what was sent, and a wakeup that is sent when a loop
 * should look again. Plain state on the main thread: between two yields nobody else changes it.
 */
import { Effect, Latch } from "effect"
import type { Database } from "../../services/Database.ts"
import type { CleanerPlan } from "./CleanerPlan.ts"
import { LastDump } from "./LastDump.ts"
import type { DeltaChain } from "./send/DeltaChain.ts"
import { SnapshotIndex } from "./SnapshotIndex.ts"
import { SyncFacts } from "./facts/SyncFacts.ts"

export interface DatabaseSyncOptions {
  /** The key under `lmdbs`. */
  readonly database: string
  /** As it stands in object names. */
  readonly instance: string
  readonly hostname: string
  /** `receive`: nothing is ever written to the bucket. */
  readonly receiveOnly: boolean
  readonly onlyOnce: boolean
  /** `--accept-stale`: entries that are older than the retention of tombstones are merged and sent all the same. */
  readonly acceptStale: boolean
  /** `spool_keep_last`. */
  readonly keepLast: boolean
}

export class SyncState {
  readonly options: DatabaseSyncOptions
  readonly database: Database["Service"]
  readonly index: SnapshotIndex
  /** Told what is merged and stored; undefined when nothing is cleaned. */
  readonly cleaner: CleanerPlan | undefined
  readonly lastDump: LastDump
  /** For people. */
  readonly facts = new SyncFacts()
  /** Transactions of others up to this one are in a snapshot of ours that was stored. */
  sentThrough = 0n
  /** What this process has stored since its last full snapshot; undefined before that. */
  chain: DeltaChain | undefined
  /** Snapshots of our own name that another process wrote, as far as their merge has changed something. */
  foreignMerged = 0
  /** How many of them are in a snapshot of ours that was stored. */
  foreignSent = 0
  /** Of the last poll. */
  lastTransactionId = 0n
  lastForeign = 0n
  /** How often changed keys could not be followed, as far as it is counted. */
  trackerGivenUp = 0
  /** The first snapshot was stored, or there is nothing to store. */
  firstStoreDone = false
  /** What the LMDB says is older than the retention of tombstones: sending it could bring deleted entries back. */
  stale = false
  /** Nanoseconds: the newest time of its entries before the first merge; 0: there was none, or nobody wants to know. */
  newestAtOpen = 0n
  /** That, if it is too old, or what an earlier run found: 0 if that is not known. Undefined: it is not stale. */
  staleBy: bigint | undefined
  /** A refused or corrupt snapshot was met, or one was missing: `--only-once` then ends with 1. */
  problems = 0
  private readonly latches: Array<Latch.Latch> = []

  constructor(options: DatabaseSyncOptions, database: Database["Service"], cleaner?: CleanerPlan) {
    this.options = options
    this.database = database
    this.cleaner = cleaner
    this.lastDump = new LastDump(options.keepLast)
    this.index = new SnapshotIndex(options.database, options.instance)
  }

  /** Wakes all loops that wait: something has changed. */
  readonly notify = Effect.sync(() => {
    for (const latch of this.latches) latch.openUnsafe()
  })

  /** Returns an effect that waits for the next `notify` since it last ended. The first time it does not wait. */
  wakeups(): Effect.Effect<void> {
    const latch = Latch.makeUnsafe(true)
    this.latches.push(latch)
    return Effect.andThen(latch.await, latch.close)
  }

  /**
   * First listing done, first store done or nothing to store or nothing may be stored, every instance waited for has
   * come to an end.
   */
  get isReady(): boolean {
    const { isBlocked, listed, waiting } = this.index
    return listed && waiting.length === 0 && (this.firstStoreDone || this.options.receiveOnly || isBlocked)
  }

  /** Something of the application's, or of another process under our name, is in no snapshot of ours. */
  get hasUnsent(): boolean {
    return !this.options.receiveOnly && (this.lastForeign > this.sentThrough || this.foreignMerged > this.foreignSent)
  }
}
