/**
 * The hot loops of a merge, which compare the entries of a snapshot with those of the LMDB, one DBI message at a time,
 * in batches.
 *
 * `MergeWalk` walks the DBI and the snapshot side by side, and seeks if the next key is far away. `MergeLookups` looks
 * each key up. `OrderOnly` merges nothing. All three check that the keys ascend strictly, because a snapshot whose keys
 * do not is corrupt. The walk compares two keys of the snapshot only where necessary: a key that is equal to the
 * cursor's key is greater than the one before, because the cursor's key is.
 *
 * A loop stops after `steps` steps and continues with the next call, so that its thread can do other work in between.
 */
import { Sides } from "../../../domain/bytes/ByteOrder.ts"
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { EntryBatch } from "../../../domain/snapshot/EntryBatch.ts"
import { compareKeys, type KeyOrder, reverse } from "../../../domain/lmdb/KeyOrder.ts"
import { Add, decide, decideAbsent, isTombstone, TakeRemote } from "../../../domain/lmdb/MergeRule.ts"
import { RisingKeys } from "../../../domain/lmdb/KeyOrderCheck.ts"
import type { Cursor, ReadTransaction, WriteTransaction } from "../../../services/Lmdb.ts"
import { notNative } from "../NotNative.ts"

/** Everything that the decisions of a merge depend on, besides the entries. */
export interface Rule {
  readonly formatVersion: number
  /** Load cut-off for tombstones in nanoseconds, as two 32-bit halves. 0 means none. */
  readonly cutOffHigh: number
  readonly cutOffLow: number
}

export const ruleOf = (formatVersion: number, cutOffNano: bigint): Rule => ({
  formatVersion,
  cutOffHigh: Number(cutOffNano >> 32n),
  cutOffLow: Number(cutOffNano & 0xffffffffn)
})

/** Receives the winners. */
export interface Sink {
  readonly take: (batch: EntryBatch, i: number, deleted: boolean) => void
}

export interface MergeEntries {
  /** Continues with a batch. Returns true when the batch is done. */
  readonly run: (batch: EntryBatch, steps: number) => boolean
  /** Continues after the last batch, if there was any. Returns true when nothing is left to do. */
  readonly end: (steps: number) => boolean
  /** Number of tombstones left out because of the cut-off. If an older entry arrives later, they win against it. */
  readonly leftOut: number
  /**
   * Skips entries that are known not to win, from the key `first` to the key `last`. Returns false if they must be read
   * nevertheless. Undefined if nothing can be skipped.
   */
  readonly skip?: (first: Uint8Array, last: Uint8Array) => boolean
  readonly close: () => void
}

const noKey = new Uint8Array(0)

/**
 * Number of entries of the DBI that are passed before the next key of the snapshot is looked up. Passing them costs as
 * much as a lookup. A dense snapshot is therefore walked, and the cost of a sparse one does not depend on the size of
 * the DBI.
 */
const stepsBeforeSeek = 16

export class MergeWalk implements MergeEntries {
  leftOut = 0
  readonly dbi: DbiName.DbiName
  private readonly rule: Rule
  private readonly sink: Sink
  private readonly order: KeyOrder
  private readonly rising: RisingKeys
  private readonly whole: boolean
  private view: ReadTransaction | undefined
  private cursor: Cursor | undefined
  private hasLocal = false
  /** True if the next key has not yet been compared with the skipped entries. */
  private skipped = false
  private index = 0
  private readonly keys = new Sides()
  private readonly values = new Sides()

  /**
   * Creates a walk. `view` is undefined for a DBI without entries. With `whole`, it walks the DBI from its first key to
   * its last and skips nothing, to check that all of its keys ascend.
   */
  constructor(
    dbi: DbiName.DbiName,
    order: KeyOrder,
    rule: Rule,
    sink: Sink,
    view: ReadTransaction | undefined,
    whole = false
  ) {
    this.dbi = dbi
    this.whole = whole
    this.order = order
    this.rising = new RisingKeys(order)
    this.rule = rule
    this.sink = sink
    this.view = view
  }

  /** Continues with another view of the DBI, from the current entry. */
  reopen(view: ReadTransaction | undefined): void {
    this.close()
    this.view = view
  }

  run(batch: EntryBatch, steps: number): boolean {
    const { order } = this
    const seeks = !this.whole && order !== reverse
    const { cutOffHigh, cutOffLow, formatVersion } = this.rule
    let i = this.index
    if (this.skipped && i < batch.count) {
      this.rising.check(batch, i)
      this.skipped = false
    }
    const cursor =
      this.cursor ?? (i < batch.count ? this.open(batch.bytes, batch.keyStart[i]!, batch.keyEnd[i]!) : undefined)
    let hasLocal = this.hasLocal
    let behind = 0
    while (i < batch.count && steps-- > 0) {
      if (hasLocal && cursor !== undefined) {
        const difference = compareKeys(
          order,
          cursor.key,
          cursor.keyStart,
          cursor.keyEnd,
          batch.bytes,
          batch.keyStart[i]!,
          batch.keyEnd[i]!,
          this.keys
        )
        if (difference < 0) {
          // There is one lookup per key. If it does not find the position, because the DBI has another order, the walk
          // goes on.
          hasLocal =
            behind++ === stepsBeforeSeek && seeks
              ? cursor.seek(batch.bytes, batch.keyStart[i]!, batch.keyEnd[i]!)
              : cursor.next()
          continue
        }
        behind = 0
        if (difference === 0) {
          const decision = decide(
            cursor.value,
            cursor.valueStart,
            cursor.valueEnd,
            batch,
            i,
            formatVersion,
            this.values
          )
          if (decision < 0) throw notNative(this.dbi, cursor, decision)
          if (decision === TakeRemote) this.sink.take(batch, i, isTombstone(batch, i, formatVersion))
          hasLocal = cursor.next()
          i++
          continue
        }
      }
      this.rising.check(batch, i)
      if (decideAbsent(batch, i, formatVersion, cutOffHigh, cutOffLow) === Add) {
        this.sink.take(batch, i, isTombstone(batch, i, formatVersion))
      } else this.leftOut++
      i++
    }
    this.hasLocal = hasLocal
    if (i < batch.count) {
      this.index = i
      return false
    }
    this.rising.endBatch(batch)
    this.index = 0
    return true
  }

  end(steps: number): boolean {
    if (!this.whole) return true
    const cursor = this.cursor ?? this.open(noKey, 0, 0)
    if (cursor === undefined) return true
    while (this.hasLocal && steps-- > 0) this.hasLocal = cursor.next()
    return !this.hasLocal
  }

  /** Skips known entries. The cursor is opened again after them. */
  skip(first: Uint8Array, last: Uint8Array): boolean {
    // It is not known in which of the two accepted orders the entries are.
    if (this.order === reverse || this.whole) return false
    this.rising.skip(first, last)
    this.skipped = true
    this.closeCursor()
    return true
  }

  close(): void {
    this.closeCursor()
    this.view = undefined
  }

  private closeCursor(): void {
    this.cursor?.close()
    this.cursor = undefined
    this.hasLocal = false
  }

  /** Opens a cursor at the given key, or at the first key of the DBI. */
  private open(key: Uint8Array, start: number, end: number): Cursor | undefined {
    if (this.view === undefined) return undefined
    this.cursor = this.view.cursor(this.dbi, this.whole ? undefined : key.slice(start, end))
    this.hasLocal = this.cursor.next()
    return this.cursor
  }
}

export class MergeLookups implements MergeEntries {
  leftOut = 0
  /** The transaction in which keys are looked up. It is set for each part of a merge that is divided into several. */
  transaction: WriteTransaction
  private readonly dbi: DbiName.DbiName
  private readonly rule: Rule
  private readonly sink: Sink
  private readonly rising: RisingKeys
  private index = 0
  private readonly values = new Sides()

  constructor(dbi: DbiName.DbiName, order: KeyOrder, rule: Rule, sink: Sink, transaction: WriteTransaction) {
    this.dbi = dbi
    this.rising = new RisingKeys(order)
    this.rule = rule
    this.sink = sink
    this.transaction = transaction
  }

  run(batch: EntryBatch, steps: number): boolean {
    const end = Math.min(batch.count, this.index + steps)
    for (let i = this.index; i < end; i++) this.rising.check(batch, i)
    this.merge(batch, this.index, end)
    this.index = end
    if (end < batch.count) return false
    this.rising.endBatch(batch)
    this.index = 0
    return true
  }

  /** Merges entries `from` to `to` (exclusive), whose keys are known to ascend. */
  merge(batch: EntryBatch, from: number, to: number): void {
    const { cutOffHigh, cutOffLow, formatVersion } = this.rule
    const key = batch.bytes
    for (let i = from; i < to; i++) {
      const keyStart = batch.keyStart[i]!
      const keyEnd = batch.keyEnd[i]!
      const local = this.transaction.get(this.dbi, key, keyStart, keyEnd)
      const decision =
        local === undefined
          ? decideAbsent(batch, i, formatVersion, cutOffHigh, cutOffLow)
          : decide(local.value, local.valueStart, local.valueEnd, batch, i, formatVersion, this.values)
      if (decision < 0) throw notNative(this.dbi, { key, keyStart, keyEnd }, decision)
      // Add and TakeRemote are the same number.
      if (decision === TakeRemote) this.sink.take(batch, i, isTombstone(batch, i, formatVersion))
      else if (local === undefined) this.leftOut++
    }
  }

  end(): boolean {
    return true
  }

  close(): void {}
}

export class OrderOnly implements MergeEntries {
  readonly leftOut = 0
  private readonly rising: RisingKeys

  constructor(order: KeyOrder) {
    this.rising = new RisingKeys(order)
  }

  run(batch: EntryBatch): boolean {
    this.rising.checkBatch(batch)
    return true
  }

  end(): boolean {
    return true
  }

  close(): void {}
}
