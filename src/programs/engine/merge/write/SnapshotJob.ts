/**
 * Reads a snapshot inside write transactions and puts the winners. This is done for a first load, and if the read phase
 * has found more winners than fit into memory.
 *
 * Another process may commit between two transactions. In that case, the DBIs are looked up again, and nothing is
 * appended any more. In shadow mode the merge begins again, because the application's changes must first be copied to
 * the shadow.
 */
import type * as DbiName from "../../../../domain/lmdb/DbiName.ts"
import type { DbiHead } from "../../../../domain/snapshot/SnapshotRules.ts"
import type { Dbi, ReadTransaction, WriteTransaction } from "../../../../services/Lmdb.ts"
import { runUntil, type SteppedWork } from "../../Engine.ts"
import { BeginAgain, State, type WriteJob } from "../../WriteJob.ts"
import { type MergeEntries, ruleOf } from "../MergeEntries.ts"
import type { Mode } from "../Mode.ts"
import type { SnapshotKnowledge } from "../SnapshotKnowledge.ts"
import { firstKeyLength, type Phase, SnapshotPass } from "../SnapshotPass.ts"
import { DbiWrite } from "./DbiWrite.ts"
import type { Target } from "./Target.ts"

export interface SnapshotJobOptions {
  readonly mode: Mode
  readonly known: SnapshotKnowledge | undefined
  readonly cutOffNano: bigint
  /** True if the read phase has checked the pairs of MDB_DUPSORT DBIs. */
  readonly isChecked: boolean
  /**
   * The copy main → shadow, if it is to be done first in the same transaction. This is so if the application commits
   * too often for the copy and the merge to have a transaction each. The view from before the transaction is then
   * outdated.
   */
  readonly copy: ((transaction: WriteTransaction) => SteppedWork) | undefined
}

export class SnapshotJob implements WriteJob, Phase {
  readonly mode: Mode
  readonly pass: SnapshotPass
  /** DBIs of the snapshot that did not exist before. */
  readonly made = new Set<DbiName.DbiName>()
  private readonly options: SnapshotJobOptions
  private readonly target: Target
  private readonly entered = new Set<DbiName.DbiName>()
  private transaction: WriteTransaction | undefined
  /** The remaining work of the copy, or undefined when it is done. */
  private copy: SteppedWork | undefined
  /** The DBI that is being merged, or that was merged last. */
  private dbi: DbiWrite | undefined

  constructor(options: SnapshotJobOptions) {
    this.options = options
    this.mode = options.mode
    this.pass = new SnapshotPass(this, options.known)
    this.target = options.mode.target()
  }

  get written(): number {
    return this.target.written
  }

  get divisible(): boolean {
    return this.options.copy === undefined && this.dbi?.isPreparing !== true
  }

  attach(transaction: WriteTransaction, contiguous: boolean): void {
    const { copy } = this.options
    if (!contiguous && this.mode.shadow !== undefined && copy === undefined) throw new BeginAgain({ moved: true })
    this.transaction = transaction
    this.target.begin(transaction)
    for (const dbi of this.entered) if (!this.target.exists(dbi)) throw new BeginAgain({ dropped: dbi })
    this.copy = copy?.(transaction)
    this.dbi?.reopen(transaction, contiguous)
  }

  detach(): void {
    this.dbi?.suspend()
    this.transaction = undefined
    this.target.end()
  }

  advance(deadline: number): number {
    if (this.copy !== undefined && !runUntil(this.copy, deadline)) return State.Paused
    this.copy = undefined
    const state = this.pass.advance(deadline)
    if (state === State.End && this.pass.isDisproved) throw new BeginAgain({ known: this.pass.learned })
    return state
  }

  get before(): ReadTransaction {
    return this.transaction!.before
  }

  local(dbi: DbiName.DbiName): Dbi | undefined {
    return this.transaction!.dbis().find(({ name }) => name === dbi)
  }

  keyLength(dbi: DbiName.DbiName): number {
    const { before } = this
    return before.dbis.some(({ name }) => name === dbi) ? firstKeyLength(before, dbi) : 0
  }

  beginDbi(head: DbiHead, formatVersion: number): MergeEntries {
    const { copy, cutOffNano, isChecked } = this.options
    const { name } = head
    if (this.local(this.mode.headersOf(name)) === undefined) this.made.add(name)
    const isRepeated = this.entered.has(name)
    this.entered.add(name)
    this.dbi = new DbiWrite({
      head,
      mode: this.mode,
      rule: ruleOf(formatVersion, cutOffNano),
      target: this.target,
      transaction: this.transaction!,
      isRepeated,
      isViewCurrent: copy === undefined,
      isChecked,
      local: this.local(name)
    })
    return this.dbi
  }
}
