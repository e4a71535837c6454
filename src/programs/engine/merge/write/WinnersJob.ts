/**
 * Puts the winners of the read phase of a merge, in one write transaction or in several.
 *
 * The ids of LMDB's transactions, which have no gaps, show how much of the read phase is still valid. As long as the id
 * of each transaction is the previous one + 1, nobody else has committed, and the winners are put as they are.
 * Otherwise, each winner is compared again with the current content, and the DBIs are looked up again. In shadow mode
 * the merge begins again, because the application's changes must first be copied to the shadow.
 */
import type * as DbiName from "../../../../domain/lmdb/DbiName.ts"
import type { EntryBatch } from "../../../../domain/snapshot/EntryBatch.ts"
import type { WriteTransaction } from "../../../../services/Lmdb.ts"
import { runUntil, type SteppedWork } from "../../Engine.ts"
import { BeginAgain, State, type WriteJob } from "../../WriteJob.ts"
import { MergeLookups, type Rule, ruleOf } from "../MergeEntries.ts"
import { type Mode, orderOfHead } from "../Mode.ts"
import type { Section } from "../Winners.ts"
import type { Target } from "./Target.ts"
import { type PutEntries, WinnersQueue } from "./WinnersQueue.ts"

/** Winners are entries of format 3, whatever the format of the snapshot. */
const formatOfWinners = 3

export class WinnersJob implements WriteJob {
  private readonly queue: WinnersQueue
  private readonly mode: Mode
  private readonly target: Target
  private readonly rule: Rule
  /** DBIs that this job has put into. They exist unless another process has dropped them. */
  private readonly entered = new Set<DbiName.DbiName>()
  private transaction: WriteTransaction | undefined
  private isContiguous = true
  /** Work to be done before the first put into the DBI of the section. */
  private prepare: SteppedWork | undefined
  /** Puts entries of the section, or undefined until the section is prepared in this transaction. */
  private put: PutEntries | undefined

  constructor(sections: ReadonlyArray<Section>, mode: Mode, cutOffNano: bigint) {
    this.rule = ruleOf(formatOfWinners, cutOffNano)
    this.queue = new WinnersQueue(sections)
    this.mode = mode
    this.target = mode.target()
  }

  get written(): number {
    return this.target.written
  }

  get divisible(): boolean {
    return this.prepare === undefined
  }

  attach(transaction: WriteTransaction, contiguous: boolean): void {
    if (!contiguous && this.mode.shadow !== undefined) throw new BeginAgain({ moved: true })
    this.transaction = transaction
    this.isContiguous &&= contiguous
    this.target.begin(transaction)
  }

  detach(): void {
    this.transaction = undefined
    this.prepare = undefined
    this.put = undefined
    this.target.end()
  }

  advance(deadline: number): number {
    for (;;) {
      const { section } = this.queue
      if (section === undefined) return State.End
      this.put ??= this.enter(section)
      if (this.prepare !== undefined && !runUntil(this.prepare, deadline)) return State.Paused
      this.prepare = undefined
      const before = this.target.written
      const isDone = this.queue.putSection(this.put, deadline)
      section.written += this.target.written - before
      if (!isDone) return State.Paused
      this.put = undefined
    }
  }

  /**
   * Prepares the DBI of a section, once in each transaction that puts into it. Returns the function that puts its
   * entries.
   */
  private enter({ existed, head }: Section): PutEntries {
    if ((existed || this.entered.has(head.name)) && !this.target.exists(head.name))
      throw new BeginAgain({ dropped: head.name })
    this.prepare = this.target.enter(head).prepare
    this.target.into(head, false)
    this.entered.add(head.name)
    // The read phase has compared a repeated DBI only with the LMDB, not with what the earlier messages or snapshots
    // put into that DBI.
    return this.isContiguous && !this.queue.isRepeated ? this.putAll : this.compared(head)
  }

  private readonly putAll = (batch: EntryBatch, from: number, to: number): void => {
    const { target } = this
    for (let i = from; i < to; i++) target.take(batch, i, batch.flags[i] === 1)
  }

  private compared(head: Section["head"]): PutEntries {
    const headers = this.mode.headersOf(head.name)
    const lookups = new MergeLookups(headers, orderOfHead(head), this.rule, this.target, this.transaction!)
    return (batch, from, to) => lookups.merge(batch, from, to)
  }
}
