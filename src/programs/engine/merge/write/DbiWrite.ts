/**
 * Merges one DBI of a snapshot inside a write transaction. If the transaction ends before the DBI does, the merge
 * continues in the next transaction.
 *
 * Entries are compared with the view of the LMDB from before the transaction, because a cursor can walk that view while
 * entries are put. If the view is not current for this DBI, each key is looked up in the transaction instead. Entries
 * of an empty DBI are appended without reading anything.
 */
import type { DbiHead } from "../../../../domain/snapshot/SnapshotRules.ts"
import type { EntryBatch } from "../../../../domain/snapshot/EntryBatch.ts"
import type { Dbi, WriteTransaction } from "../../../../services/Lmdb.ts"
import type { SteppedWork } from "../../Engine.ts"
import { PairOrderCheck } from "../../shadow/PairOrderCheck.ts"
import { type MergeEntries, MergeLookups, MergeWalk, type Rule, type Sink } from "../MergeEntries.ts"
import { type Mode, orderOfHead } from "../Mode.ts"
import type { Target } from "./Target.ts"

export interface DbiWriteOptions {
  readonly head: DbiHead
  readonly mode: Mode
  readonly rule: Rule
  readonly target: Target
  readonly transaction: WriteTransaction
  /** True if an earlier message of the snapshot has put entries into the same DBI. */
  readonly isRepeated: boolean
  /** True if the view from before the transaction is current for all DBIs that this merge has not written to. */
  readonly isViewCurrent: boolean
  /** True if the read phase has checked the pairs of MDB_DUPSORT DBIs. */
  readonly isChecked: boolean
  /** The application's DBI, or undefined if it did not exist before the merge. */
  readonly local: Dbi | undefined
}

export class DbiWrite implements MergeEntries {
  private readonly head: DbiHead
  private readonly target: Target
  /** Work to be done before the first entry, in the same transaction. Undefined when it is done. */
  private prepare: SteppedWork | undefined
  private isAppending: boolean
  private readonly comparison: MergeWalk | MergeLookups
  /** The comparison, or the check of pairs that wraps it. */
  private readonly entries: MergeEntries

  constructor(options: DbiWriteOptions) {
    const { head, isRepeated, isViewCurrent, local, mode, rule, target, transaction } = options
    const { entries, prepare } = target.enter(head)
    this.head = head
    this.target = target
    this.prepare = prepare
    this.isAppending = !isRepeated && entries === 0
    target.into(head, this.isAppending)
    const headers = mode.headersOf(head.name)
    const order = orderOfHead(head)
    const compare = (sink: Sink) =>
      isRepeated || !isViewCurrent
        ? new MergeLookups(headers, order, rule, sink, transaction)
        : new MergeWalk(headers, order, rule, sink, this.viewOf(transaction))
    if (options.isChecked || !mode.isPairs(head, local)) {
      this.comparison = compare(target)
      this.entries = this.comparison
    } else {
      const check = new PairOrderCheck(head.name, mode.isFixed(head, local), transaction.before, target, compare)
      this.comparison = check.inner
      this.entries = check
    }
  }

  get leftOut(): number {
    return this.entries.leftOut
  }

  /**
   * While this is true, the transaction must not end, because the application's DBI is not yet filled from its shadow.
   */
  get isPreparing(): boolean {
    return this.prepare !== undefined
  }

  /** Continues in another transaction. `contiguous` is true if nobody else has committed in between. */
  reopen(transaction: WriteTransaction, contiguous: boolean): void {
    const { comparison } = this
    this.isAppending &&= contiguous
    if (comparison instanceof MergeLookups) comparison.transaction = transaction
    else comparison.reopen(this.viewOf(transaction))
    this.target.into(this.head, this.isAppending)
  }

  /** Closes cursors at the end of a transaction. */
  suspend(): void {
    this.comparison.close()
  }

  run(batch: EntryBatch, steps: number): boolean {
    return this.isPrepared(steps) && this.entries.run(batch, steps)
  }

  end(steps: number): boolean {
    return this.isPrepared(steps) && this.entries.end(steps)
  }

  close(): void {
    this.entries.close()
  }

  /** Returns the view that the entries are compared with, or undefined if the DBI is empty. */
  private viewOf({ before }: WriteTransaction) {
    return this.isAppending ? undefined : before
  }

  private isPrepared(steps: number): boolean {
    if (this.prepare?.(steps) === false) return false
    this.prepare = undefined
    return true
  }
}
