/**
 * Checks that the keys of one DBI message are strictly ascending. A repeated key, or one out of order, makes the
 * snapshot corrupt: a merge walks two sorted sequences side by side and would skip or overwrite entries. With
 * MDB_REVERSEKEY, plain byte order is accepted as well, because shadow DBIs use it. Source: docs/format.md.
 *
 * Entries are checked one by one, so that a caller may omit a key that it already knows to be ascending.
 */
import type { EntryBatch } from "../snapshot/EntryBatch.ts"
import * as KeyOrder from "./KeyOrder.ts"
import { SnapshotCorrupt } from "../snapshot/SnapshotCorrupt.ts"
import { maxKeyBytes } from "./Limits.ts"
import { hexOf } from "../bytes/Hex.ts"

export class RisingKeys {
  readonly order: KeyOrder.KeyOrder
  /** The last key of the previous batch. */
  readonly #last = new Uint8Array(maxKeyBytes)
  #length = 0
  /** With MDB_REVERSEKEY, the orders that are consistent with the keys so far. */
  #plainHolds = true
  #reverseHolds = true

  constructor(order: KeyOrder.KeyOrder) {
    this.order = order
  }

  /** Checks that entry `i` comes after the entry before it, or after the previous batch. Throws SnapshotCorrupt. */
  check(batch: EntryBatch, i: number): void {
    if (i === 0 && this.#length === 0) return
    const rises = this.#rises(this.order, batch, i)
    if (this.order !== KeyOrder.reverse) {
      if (!rises) this.#fail(batch, i)
      return
    }
    this.#reverseHolds &&= rises
    this.#plainHolds &&= this.#rises(KeyOrder.plain, batch, i)
    if (!this.#reverseHolds && !this.#plainHolds) this.#fail(batch, i)
  }

  #rises(order: KeyOrder.KeyOrder, { bytes, keyEnd, keyStart }: EntryBatch, i: number): boolean {
    return i === 0
      ? KeyOrder.compareKeys(order, this.#last, 0, this.#length, bytes, keyStart[0]!, keyEnd[0]!) < 0
      : KeyOrder.compareKeys(order, bytes, keyStart[i - 1]!, keyEnd[i - 1]!, bytes, keyStart[i]!, keyEnd[i]!) < 0
  }

  /** Keeps the last key of a batch. Must be called after the last `check` in it. */
  endBatch(batch: EntryBatch): void {
    if (batch.count === 0) return
    const start = batch.keyStart[batch.count - 1]!
    const end = batch.keyEnd[batch.count - 1]!
    this.#length = end - start
    for (let i = start; i < end; i++) this.#last[i - start] = batch.bytes[i]!
  }

  /**
   * Accepts entries that are known to be ascending from the key `first` to the key `last`, in place of batches. Not
   * supported with MDB_REVERSEKEY. Throws SnapshotCorrupt.
   */
  skip(first: Uint8Array, last: Uint8Array): void {
    if (this.#length > 0 && KeyOrder.compareKeys(this.order, this.#last, 0, this.#length, first, 0, first.length) >= 0)
      this.#failAt(first)
    this.#last.set(last)
    this.#length = last.length
  }

  /** Checks all entries of a batch. Throws SnapshotCorrupt. */
  checkBatch(batch: EntryBatch): void {
    for (let i = 0; i < batch.count; i++) this.check(batch, i)
    this.endBatch(batch)
  }

  #fail(batch: EntryBatch, i: number): never {
    this.#failAt(batch.bytes.subarray(batch.keyStart[i], batch.keyEnd[i]))
  }

  #failAt(bytes: Uint8Array): never {
    const key = hexOf(bytes)
    throw new SnapshotCorrupt({
      problem: `key 0x${key} does not come after the key before it, in ${KeyOrder.display(this.order)}`
    })
  }
}
