/** The read phase of a merge, which finds the winners in a read transaction, without LMDB's write lock. */
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"
import type { Dbi, ReadTransaction } from "../../../services/Lmdb.ts"
import { type MergeEntries, MergeWalk, OrderOnly, ruleOf, type Sink } from "./MergeEntries.ts"
import { type Mode, orderOfHead } from "./Mode.ts"
import { firstKeyLength, type Phase } from "./SnapshotPass.ts"
import { PairOrderCheck } from "../shadow/PairOrderCheck.ts"
import { Winners } from "./Winners.ts"

export class MergeRead implements Phase, Sink {
  readonly mode: Mode
  readonly winners: Winners
  readonly before: ReadTransaction
  private readonly cutOffNano: bigint
  private readonly dbis: ReadonlyMap<DbiName.DbiName, Dbi>
  /** Names of the DBIs with headers whose keys are all known to ascend. Those of the snapshot are added at the end. */
  readonly walked: Set<DbiName.DbiName>
  /** Names of the snapshot's DBIs whose entries are pairs. */
  readonly pairs = new Set<DbiName.DbiName>()

  constructor(
    mode: Mode,
    transaction: ReadTransaction,
    cutOffNano: bigint,
    walked: ReadonlySet<DbiName.DbiName>,
    winnersMax: number
  ) {
    this.winners = new Winners(winnersMax)
    this.walked = new Set(walked)
    this.cutOffNano = cutOffNano
    this.mode = mode
    this.before = transaction
    this.dbis = new Map(transaction.dbis.map((dbi) => [dbi.name, dbi]))
  }

  local(dbi: DbiName.DbiName): Dbi | undefined {
    return this.dbis.get(dbi)
  }

  keyLength(dbi: DbiName.DbiName): number {
    return this.dbis.has(dbi) ? firstKeyLength(this.before, dbi) : 0
  }

  beginDbi(head: DbiHead, formatVersion: number): MergeEntries {
    const order = orderOfHead(head)
    const headers = this.mode.headersOf(head.name)
    const whole = !this.walked.has(headers)
    const local = this.local(head.name)
    const isPairs = this.mode.isPairs(head, local)
    if (isPairs) this.pairs.add(head.name)
    if (this.winners.overflown && !whole && !isPairs) return new OrderOnly(order)
    this.walked.add(headers)
    this.winners.section(head, this.dbis.has(head.name))
    const view = (this.dbis.get(headers)?.entries ?? 0) > 0 ? this.before : undefined
    const merge = (sink: Sink) =>
      new MergeWalk(headers, order, ruleOf(formatVersion, this.cutOffNano), sink, view, whole)
    return isPairs
      ? new PairOrderCheck(head.name, this.mode.isFixed(head, local), this.before, this, merge)
      : merge(this)
  }

  take(...[batch, i, deleted]: Parameters<Sink["take"]>): void {
    this.winners.take(batch, i, deleted)
  }

  /**
   * True if another snapshot can be checked against the same view: each DBI of this one has entries there, which
   * determine the flags and the length of the keys.
   */
  get keepsDbis(): boolean {
    return this.winners.sections.every(
      ({ existed, head }) => existed && (this.dbis.get(this.mode.headersOf(head.name))?.entries ?? 0) > 0
    )
  }

  /** True if there is anything to write: an entry, or a missing DBI. */
  get hasWork(): boolean {
    return this.winners.count > 0 || this.winners.sections.some((section) => !section.existed)
  }
}
