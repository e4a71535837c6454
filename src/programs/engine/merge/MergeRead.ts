/** The read phase of a merge, which finds the winners in a read transaction, without LMDB's write lock. */
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"
import type { Dbi, ReadTransaction } from "../../../services/Lmdb.ts"
import { type MergeEntries, MergeWalk, OrderOnly, ruleOf, type Sink } from "./MergeEntries.ts"
import { type Mode, orderOfHead } from "./Mode.ts"
import { firstKeyLength, type Phase } from "./SnapshotPass.ts"
import { PairOrderCheck } from "../shadow/PairOrderCheck.ts"
import { Winners, winnersLimit } from "./Winners.ts"

export class MergeRead implements Phase, Sink {
  readonly mode: Mode
  readonly winners = new Winners(winnersLimit)
  readonly before: ReadTransaction
  private readonly cutOffNano: bigint
  private readonly dbis: ReadonlyMap<DbiName.DbiName, Dbi>
  /** Names of the DBIs with headers whose keys are all known to ascend. Those of the snapshot are added at the end. */
  readonly walked: Set<DbiName.DbiName>

  constructor(mode: Mode, transaction: ReadTransaction, cutOffNano: bigint, walked: ReadonlySet<DbiName.DbiName>) {
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

  /** True if there is anything to write: an entry, or a missing DBI. */
  get hasWork(): boolean {
    return this.winners.count > 0 || this.winners.sections.some((section) => !section.existed)
  }
}
