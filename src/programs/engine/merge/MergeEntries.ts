/**
 * The hot loops of a merge: entries of a snapshot against what the LMDB holds, one DBI message at a time, in batches.
 *
 * `MergeWalk` walks the DBI and the snapshot side by side, and seeks where the next key is far; `MergeLookups` looks
 * each key up; `OrderOnly` merges nothing. All three check that the keys rise strictly: a snapshot whose keys do not
 * is corrupt. The walk compares two keys of the snapshot only where it needs to: a key that is equal to the cursor's
 * has risen, since the cursor has.
 *
 * A loop stops after `steps` steps and goes on where it was with the next call, so that its thread can turn to other
 * things.
 */
import { Sides } from "../../../domain/bytes/ByteOrder.ts"
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { EntryBatch } from "../../../domain/snapshot/EntryBatch.ts"
import { compareKeys, type KeyOrder, reverse } from "../../../domain/lmdb/KeyOrder.ts"
import { Add, decide, decideAbsent, isTombstone, TakeRemote } from "../../../domain/lmdb/MergeRule.ts"
import { RisingKeys } from "../../../domain/lmdb/KeyOrderCheck.ts"
import type { Cursor, ReadTransaction, WriteTransaction } from "../../../services/Lmdb.ts"
import { notNative } from "../NotNative.ts"

/** What a merge's decisions depend on besides the entries. */
export interface Rule {
  readonly formatVersion: number
  /** Load cut-off for tombstones, in nanoseconds, as two halves; 0: none. */
  readonly cutOffHigh: number
  readonly cutOffLow: number
}

export const ruleOf = (formatVersion: number, cutOffNano: bigint): Rule => ({
  formatVersion,
  cutOffHigh: Number(cutOffNano >> 32n),
  cutOffLow: Number(cutOffNano & 0xffffffffn)
})

/** Takes what wins. */
export interface Sink {
  readonly take: (batch: EntryBatch, i: number, deleted: boolean) => void
}

export interface MergeEntries {
  /** True when the batch is done. */
  readonly run: (batch: EntryBatch, steps: number) => boolean
  /** After the last batch, if there was any. True when nothing is left to be done. */
  readonly end: (steps: number) => boolean
  /** Tombstones so far that were not added because of the cut-off: an older entry may come yet, and then they win. */
  readonly leftOut: number
  /**
   * Instead of batches: entries of which it is known that none wins, from the key `first` to the key `last`. False:
   * they must be read all the same. Undefined where nothing can be skipped.
   */
  readonly skip?: (first: Uint8Array, last: Uint8Array) => boolean
  readonly close: () => void
}

const noKey = new Uint8Array(0)

/**
 * Entries of the DBI that are stepped over before the next key of the snapshot is looked up: as many as a lookup costs.
 * So a dense snapshot is walked, and a sparse one costs what it holds, whatever the size of the DBI.
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
  /** What follows has not been compared with what was skipped. */
  private skipped = false
  private index = 0
  private readonly keys = new Sides()
  private readonly values = new Sides()

  /**
   * `view`: undefined for a DBI without entries. `whole`: walks it from its first key to its last, and skips nothing,
   * so that all of its keys are seen to rise.
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

  /** Goes on over another view of the DBI, from the entry where it is. */
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
          // Once for each key: where a lookup leads nowhere, since the order is another one, the walk goes on.
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

  /** The cursor is opened again behind them. */
  skip(first: Uint8Array, last: Uint8Array): boolean {
    // Which of its two orders the entries have is not known.
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

  /** At that key, or at the first of all. */
  private open(key: Uint8Array, start: number, end: number): Cursor | undefined {
    if (this.view === undefined) return undefined
    this.cursor = this.view.cursor(this.dbi, this.whole ? undefined : key.slice(start, end))
    this.hasLocal = this.cursor.next()
    return this.cursor
  }
}

export class MergeLookups implements MergeEntries {
  leftOut = 0
  /** Where keys are looked up: set again for each part of a merge that is cut into several transactions. */
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

  /** Entries `from` to `to` (exclusive), whose keys are known to rise. */
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
