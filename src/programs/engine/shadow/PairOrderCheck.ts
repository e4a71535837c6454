/**
 * Checks the pairs that an MDB_DUPSORT DBI will contain after a merge, that is, those of the snapshot among the local
 * ones. dupsort_hack must be able to represent them (`RisingPairs`), and with MDB_DUPFIXED all values must have the
 * same size (`PairSizes`). Otherwise the next copy main → shadow would take pairs for deleted ones, or fail.
 *
 * The check is placed between a merge and its sink, and examines only winners. Each winner is placed among the local
 * pairs, from the first one that could conflict with it: a pair of the same key, or of a key that is the beginning of
 * the winner's key up to a NUL. The cost of a sparse snapshot is therefore proportional to its content.
 */
import { compareBytes } from "../../../domain/bytes/ByteOrder.ts"
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import * as DupsortKey from "../../../domain/lmdb/DupsortKey.ts"
import { maxKeyBytes } from "../../../domain/lmdb/Limits.ts"
import * as NativeHeader from "../../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { EntryBatch } from "../../../domain/snapshot/EntryBatch.ts"
import type { Cursor, ReadTransaction } from "../../../services/Lmdb.ts"
import type { MergeEntries, Sink } from "../merge/MergeEntries.ts"
import { notNative } from "../NotNative.ts"
import { PairSizes } from "./PairSizes.ts"
import { RisingPairs } from "./RisingPairs.ts"

/** The local pairs in the order of their shadow keys: those of main, or of its shadow if main does not exist. */
class LocalPairs {
  /** The shadow key of the current pair: `key[0..end)`. */
  readonly key = new Uint8Array(maxKeyBytes)
  end = 0
  valueStart = 0
  private readonly dbi: DbiName.DbiName
  private readonly isMain: boolean
  private readonly cursor: Cursor

  constructor(view: ReadTransaction, main: DbiName.DbiName, from: Uint8Array) {
    this.isMain = view.dbis.some(({ name }) => name === main)
    this.dbi = this.isMain ? main : ShadowName.of(main)
    this.cursor = view.cursor(this.dbi, from)
  }

  get value(): Uint8Array {
    return this.cursor.value
  }
  get valueEnd(): number {
    return this.cursor.valueEnd
  }
  /** Length of the application's key in bytes. */
  get keyEnd(): number {
    return DupsortKey.keyEnd(this.key, 0, this.end)
  }

  next(): boolean {
    return this.show(this.cursor.next())
  }

  seek(bytes: Uint8Array, start: number, end: number): boolean {
    return this.show(this.cursor.seek(bytes, start, end))
  }

  close(): void {
    this.cursor.close()
  }

  private show(found: boolean): boolean {
    const { cursor, key } = this
    for (; found; found = cursor.next()) {
      if (this.isMain) {
        this.valueStart = cursor.valueStart
        this.end = DupsortKey.write(
          key,
          cursor.key,
          cursor.keyStart,
          cursor.keyEnd,
          cursor.value,
          cursor.valueStart,
          cursor.valueEnd
        )
        return true
      }
      const application = NativeHeader.readHeader(cursor.value, cursor.valueStart, cursor.valueEnd)
      if (application < 0) throw notNative(this.dbi, cursor, application)
      if (NativeHeader.isDeleted(cursor.value, cursor.valueStart)) continue
      this.valueStart = application
      this.end = cursor.keyEnd - cursor.keyStart
      for (let p = 0; p < this.end; p++) key[p] = cursor.key[cursor.keyStart + p]!
      return true
    }
    return false
  }
}

/** Returns the offset of the first NUL of a key after its first byte, or the end of the key. */
const firstNul = (bytes: Uint8Array, start: number, end: number): number => {
  let at = start + 1
  while (at < end && bytes[at] !== 0) at++
  return at
}

export class PairOrderCheck<Inner extends MergeEntries> implements MergeEntries, Sink {
  /** The merge whose winners are checked. */
  readonly inner: Inner
  private readonly main: DbiName.DbiName
  private readonly view: ReadTransaction
  private readonly sink: Sink
  private readonly rising: RisingPairs
  private readonly sizes: PairSizes | undefined
  private local: LocalPairs | undefined
  private hasLocal = false
  /** Indices of the winners in the batch. That of a tombstone is stored as its bitwise complement. */
  private winners = new Int32Array(64)
  private count = 0
  private placed = 0
  private isMerged = false
  private isPositioned = false
  /** True if the last pair that was added is a winner, and the pair that follows it in the DBI was not read yet. */
  private isPending = false

  /**
   * Creates a check. `view` contains main and shadow before the merge, or only main if the shadow is not yet equal to
   * it. `isFixed` is true if main has MDB_DUPFIXED, or is created with it.
   */
  constructor(
    main: DbiName.DbiName,
    isFixed: boolean,
    view: ReadTransaction,
    sink: Sink,
    merge: (sink: Sink) => Inner
  ) {
    this.main = main
    this.view = view
    this.sink = sink
    this.rising = new RisingPairs(main)
    if (isFixed) this.sizes = new PairSizes(main, this.firstSize())
    this.inner = merge(this)
  }

  get leftOut(): number {
    return this.inner.leftOut
  }

  take(batch: EntryBatch, i: number, deleted: boolean): void {
    if (this.count === this.winners.length) {
      const grown = new Int32Array(2 * this.count)
      grown.set(this.winners)
      this.winners = grown
    }
    this.winners[this.count++] = deleted ? ~i : i
    this.sink.take(batch, i, deleted)
  }

  run(batch: EntryBatch, steps: number): boolean {
    if (!this.isMerged && !this.inner.run(batch, steps)) return false
    this.isMerged = true
    while (this.placed < this.count) {
      if (steps-- <= 0) return false
      if (this.place(batch, this.winners[this.placed]!)) this.placed++
    }
    this.isMerged = false
    this.count = this.placed = 0
    return true
  }

  end(steps: number): boolean {
    if (!this.inner.end(steps)) return false
    if (this.isPending && this.hasLocal) this.addLocal()
    return true
  }

  skip(first: Uint8Array, last: Uint8Array): boolean {
    return this.inner.skip?.(first, last) === true
  }

  close(): void {
    this.inner.close()
    this.local?.close()
  }

  /** Makes one step towards the place of a winner. Returns true when the winner is placed. */
  private place(batch: EntryBatch, winner: number): boolean {
    const deleted = winner < 0
    const i = deleted ? ~winner : winner
    const { bytes } = batch
    const start = batch.keyStart[i]!
    const end = batch.keyEnd[i]!
    const keyEnd = DupsortKey.keyEnd(bytes, start, end)
    if (!this.isPositioned) this.position(bytes, start, firstNul(bytes, start, keyEnd))
    this.isPositioned = true
    if (this.hasLocal) {
      const difference = compareBytes(this.local!.key, 0, this.local!.end, bytes, start, end)
      if (difference < 0) {
        this.addLocal()
        this.hasLocal = this.local!.next()
        return false
      }
      // The winner replaces the local pair.
      if (difference === 0) this.hasLocal = this.local!.next()
    }
    if (!deleted) {
      this.sizes?.check(batch.valueEnd[i]! - batch.valueStart[i]!, bytes, start, keyEnd)
      this.rising.add(bytes, start, keyEnd, bytes, batch.valueStart[i]!, batch.valueEnd[i]!)
      this.isPending = true
    }
    this.isPositioned = false
    return true
  }

  /** Moves to the first pair of a key at or after `bytes[start..end)`, which is the first one that could conflict. */
  private position(bytes: Uint8Array, start: number, end: number): void {
    if (this.local === undefined) {
      this.hasLocal = this.isEmpty
        ? false
        : (this.local = new LocalPairs(this.view, this.main, bytes.slice(start, end))).next()
      return
    }
    if (!this.isBefore(bytes, start, end)) return
    // The local pair follows the last winner.
    if (this.isPending) this.addLocal()
    this.hasLocal = this.local.next()
    if (this.isBefore(bytes, start, end)) this.hasLocal = this.local.seek(bytes, start, end)
  }

  /** Returns the size in bytes of the first local value, or undefined if there is none. */
  private firstSize(): number | undefined {
    if (this.isEmpty) return undefined
    const pairs = new LocalPairs(this.view, this.main, new Uint8Array(0))
    const size = pairs.next() ? pairs.valueEnd - pairs.valueStart : undefined
    pairs.close()
    return size
  }

  /** True if neither main nor a shadow exists, or if the one that is used has no entries. */
  private get isEmpty(): boolean {
    const there = (name: DbiName.DbiName) => this.view.dbis.find((dbi) => dbi.name === name)
    const dbi = there(this.main) ?? there(ShadowName.of(this.main))
    return dbi === undefined || dbi.entries === 0
  }

  private isBefore(bytes: Uint8Array, start: number, end: number): boolean {
    const { local } = this
    return this.hasLocal && compareBytes(local!.key, 0, local!.keyEnd, bytes, start, end) < 0
  }

  private addLocal(): void {
    const { end: _, key, keyEnd, value, valueEnd, valueStart } = this.local!
    this.rising.add(key, 0, keyEnd, value, valueStart, valueEnd)
    this.isPending = false
  }
}
