/**
 * The write phase of a merge, as two jobs that can be cut into several write transactions: `WinnersJob` puts what won
 * in the read phase, `SnapshotJob` reads the snapshot (again) inside the transaction.
 *
 * Nothing of an earlier transaction is trusted further than LMDB's numbering of them allows: when the new transaction's
 * id is the id that was seen last + 1, nobody has committed in between. Otherwise each entry is compared again with
 * what is there now, and the DBIs are looked up again. In shadow mode the merge begins again: the application's changes
 * must be copied to the shadow first.
 */
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"
import type { Dbi, ReadTransaction, WriteTransaction } from "../../../services/Lmdb.ts"
import { stepsPerLook } from "../Engine.ts"
import { type MergeEntries, MergeLookups, MergeWalk, type Rule, ruleOf, type Sink } from "./MergeEntries.ts"
import { type Mode, orderOfHead } from "./Mode.ts"
import { firstKeyLength, type Phase, SnapshotPass } from "./SnapshotPass.ts"
import { PairOrderCheck } from "../shadow/PairOrderCheck.ts"
import type { Target } from "./Target.ts"
import type { Section, Winners } from "./Winners.ts"
import type { SnapshotKnowledge } from "./SnapshotKnowledge.ts"
import { BeginAgain, State, type WriteJob } from "../WriteJob.ts"

type Prepare = (steps: number) => boolean

/** False when the time is up before it is done. */
const prepareUntil = (prepare: Prepare, deadline: number): boolean => {
  while (!prepare(stepsPerLook)) if (performance.now() >= deadline) return false
  return true
}

/**
 * Winners are entries of format 3 whose keys rise, and have won already: what is left is to put them, or to compare
 * again.
 */
export class WinnersJob implements WriteJob {
  private readonly sections: ReadonlyArray<Section>
  private readonly mode: Mode
  private readonly target: Target
  private readonly rule: Rule
  private readonly entered = new Set<DbiName.DbiName>()
  private transaction: WriteTransaction | undefined
  private contiguous = true
  private section = 0
  private batch = 0
  private index = 0
  private lookups: MergeLookups | undefined
  private prepare: Prepare | undefined
  private ready = false

  constructor(winners: Winners, mode: Mode, cutOffNano: bigint) {
    this.rule = ruleOf(3, cutOffNano)
    this.sections = winners.sections
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
    this.contiguous &&= contiguous
    this.target.begin(transaction)
    this.ready = false
  }

  detach(): void {
    this.transaction = undefined
    this.lookups = undefined
    this.prepare = undefined
    this.target.end()
  }

  advance(deadline: number): number {
    for (; this.section < this.sections.length; this.section++) {
      const section = this.sections[this.section]!
      if (!this.ready) this.enter(section)
      if (this.prepare !== undefined && !prepareUntil(this.prepare, deadline)) return State.Paused
      this.prepare = undefined
      for (; this.batch < section.batches.length; this.batch++) {
        const batch = section.batches[this.batch]!
        while (this.index < batch.count) {
          const end = Math.min(batch.count, this.index + stepsPerLook)
          if (this.lookups === undefined)
            for (let i = this.index; i < end; i++) this.target.take(batch, i, batch.flags[i] === 1)
          else this.lookups.merge(batch, this.index, end)
          this.index = end
          if (performance.now() >= deadline) return State.Paused
        }
        this.index = 0
      }
      this.batch = 0
      this.ready = false
    }
    return State.End
  }

  private enter({ existed, head }: Section): void {
    if ((existed || this.entered.has(head.name)) && !this.target.exists(head.name))
      throw new BeginAgain({ dropped: head.name })
    this.prepare = this.target.enter(head).prepare
    // A DBI that comes in several messages: the later ones did not see what the earlier ones put.
    const repeated = this.sections.findIndex((section) => section.head.name === head.name) < this.section
    this.target.into(head, false)
    this.lookups =
      this.contiguous && !repeated
        ? undefined
        : new MergeLookups(this.mode.headersOf(head.name), orderOfHead(head), this.rule, this.target, this.transaction!)
    this.entered.add(head.name)
    this.ready = true
  }
}

/** Reads the snapshot inside the transaction, and puts what wins. Into an empty DBI it appends without reading. */
export class SnapshotJob implements WriteJob, Phase {
  readonly mode: Mode
  readonly pass: SnapshotPass
  private readonly target: Target
  /** DBIs that were not there. */
  readonly made = new Set<DbiName.DbiName>()
  private readonly entered = new Map<DbiName.DbiName, DbiHead>()
  private readonly first: ((transaction: WriteTransaction) => Prepare) | undefined
  private readonly cutOffNano: bigint
  private readonly isChecked: boolean
  private transaction: WriteTransaction | undefined
  /** Of the DBI that is being merged: the one or the other. */
  private walk: MergeWalk | undefined
  private lookups: MergeLookups | undefined
  private head: DbiHead | undefined
  private appending = false
  private prepare: Prepare | undefined
  /** Before the first entry of the DBI. */
  private fill: Prepare | undefined

  /**
   * `isChecked`: the read phase has seen the pairs of MDB_DUPSORT DBIs to be what their shadows can represent.
   *
   * `first`: work at the begin of the only transaction, after which the view of before it is not to be trusted: the
   * copy main → shadow, when the application commits too often for the copy and the merge to have a transaction each.
   */
  constructor(
    known: SnapshotKnowledge | undefined,
    mode: Mode,
    cutOffNano: bigint,
    isChecked: boolean,
    first?: (transaction: WriteTransaction) => Prepare
  ) {
    this.cutOffNano = cutOffNano
    this.isChecked = isChecked
    this.mode = mode
    this.pass = new SnapshotPass(this, known)
    this.target = mode.target()
    this.first = first
  }

  get written(): number {
    return this.target.written
  }

  get divisible(): boolean {
    return this.first === undefined && this.fill === undefined
  }

  attach(transaction: WriteTransaction, contiguous: boolean): void {
    if (!contiguous && this.mode.shadow !== undefined && this.first === undefined) throw new BeginAgain({ moved: true })
    this.transaction = transaction
    this.target.begin(transaction)
    for (const dbi of this.entered.keys()) if (!this.target.exists(dbi)) throw new BeginAgain({ dropped: dbi })
    this.prepare = this.first?.(transaction)
    if (this.lookups !== undefined) this.lookups.transaction = transaction
    if (this.head === undefined) return
    this.appending &&= contiguous
    this.walk?.reopen(this.appending ? undefined : transaction.before)
    this.target.into(this.head, this.appending)
  }

  detach(): void {
    this.walk?.close()
    this.transaction = undefined
    this.target.end()
  }

  advance(deadline: number): number {
    if (this.prepare !== undefined && !prepareUntil(this.prepare, deadline)) return State.Paused
    this.prepare = undefined
    const state = this.pass.advance(deadline)
    if (state === State.End && this.pass.late) throw new BeginAgain({ known: this.pass.learned })
    return state
  }

  get before(): ReadTransaction {
    return this.transaction!.before
  }

  local(dbi: DbiName.DbiName): Dbi | undefined {
    return this.transaction!.dbis().find(({ name }) => name === dbi)
  }

  keyLength(dbi: DbiName.DbiName): number {
    const { before } = this.transaction!
    return before.dbis.some(({ name }) => name === dbi) ? firstKeyLength(before, dbi) : 0
  }

  beginDbi(head: DbiHead, formatVersion: number): MergeEntries {
    const transaction = this.transaction!
    const rule = ruleOf(formatVersion, this.cutOffNano)
    const order = orderOfHead(head)
    const headers = this.mode.headersOf(head.name)
    const repeated = this.entered.has(head.name)
    if (!transaction.dbis().some(({ name }) => name === headers)) this.made.add(head.name)
    const { entries, prepare } = this.target.enter(head)
    this.entered.set(head.name, head)
    this.head = head
    this.walk = this.lookups = undefined
    this.fill = prepare
    this.appending = !repeated && entries === 0
    this.target.into(head, this.appending)
    const merge = (sink: Sink): MergeEntries => {
      if (repeated || this.first !== undefined)
        return (this.lookups = new MergeLookups(headers, order, rule, sink, transaction))
      return (this.walk = new MergeWalk(headers, order, rule, sink, this.appending ? undefined : transaction.before))
    }
    const local = this.local(head.name)
    return this.filled(
      this.isChecked || !this.mode.isPairs(head, local)
        ? merge(this.target)
        : new PairOrderCheck(head.name, this.mode.isFixed(head, local), transaction.before, this.target, merge)
    )
  }

  /** With `fill` before the first entry. */
  private filled(entries: MergeEntries): MergeEntries {
    if (this.fill === undefined) return entries
    const isFull = (steps: number): boolean => {
      if (this.fill?.(steps) === false) return false
      this.fill = undefined
      return true
    }
    return {
      get leftOut() {
        return entries.leftOut
      },
      run: (batch, steps) => isFull(steps) && entries.run(batch, steps),
      end: (steps) => isFull(steps) && entries.end(steps),
      close: () => entries.close()
    }
  }
}
