/**
 * Checks that the keys of a local DBI rise, one key at a time, in the order that LMDB keeps for the flags of the DBI.
 * An application that sets a comparison function of its own (`mdb_set_compare`) has them in another order, and LMDB
 * does not store that it did.
 *
 * Runs for every entry of every walk: what a key has in common with the one before is passed over four bytes at a time
 * and is not copied again, since neighbours in a sorted sequence mostly share their beginnings.
 */
import { compareKeys, type KeyOrder, plain } from "./KeyOrder.ts"

const firstSize = 512

export class LastKey {
  readonly order: KeyOrder
  /** With MDB_DUPSORT a key comes once for each of its values. */
  readonly #repeats: boolean
  #bytes: Uint8Array = new Uint8Array(firstSize)
  #words = new Uint32Array(this.#bytes.buffer)
  #length = 0

  constructor(order: KeyOrder, repeats: boolean) {
    this.order = order
    this.#repeats = repeats
  }

  /**
   * Whether `key[start..end)` comes after the key of the call before; true for the first. `words`: the bytes of `key`,
   * four at a time; `start` is at one of them, and the last one that the key is in can be read. Keeps the key only when
   * it comes after.
   */
  accepts(key: Uint8Array, words: Uint32Array, start: number, end: number): boolean {
    if (this.order !== plain) return this.#acceptsOther(key, start, end)
    const length = end - start
    const last = this.#length
    const common = (length < last ? length : last) >> 2
    const lastWords = this.#words
    const offset = start >> 2
    let i = 0
    while (i < common && words[offset + i] === lastWords[i]) i++
    if (i < common) {
      // The first byte in which they differ is the lowest one: LMDB's files are little-endian here.
      const a = words[offset + i]!
      const b = lastWords[i]!
      const shift = (31 - Math.clz32((a ^ b) & -(a ^ b))) & 24
      if (((a >>> shift) & 0xff) < ((b >>> shift) & 0xff)) return false
    } else {
      const difference = this.#compareRest(key, start, length, i << 2)
      if (difference <= 0) return difference === 0 && this.#repeats
    }
    this.#keep(words, offset, length, i)
    return true
  }

  /** The next key is accepted whatever it is. */
  forget(): void {
    this.#length = 0
  }

  #compareRest(key: Uint8Array, start: number, length: number, from: number): number {
    const last = this.#length
    const bytes = this.#bytes
    for (let p = from; p < length && p < last; p++) {
      const difference = key[start + p]! - bytes[p]!
      if (difference !== 0) return difference
    }
    return length - last
  }

  /** The last key that was accepted. */
  get last(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  /** Its first `same` words are there already. */
  #keep(words: Uint32Array, offset: number, length: number, same: number): void {
    if (length > this.#bytes.length) this.#grow(length)
    const target = this.#words
    const end = (length + 3) >> 2
    for (let i = same; i < end; i++) target[i] = words[offset + i]!
    this.#length = length
  }

  #acceptsOther(key: Uint8Array, start: number, end: number): boolean {
    const bytes = this.#bytes
    const difference = this.#length === 0 ? 1 : compareKeys(this.order, key, start, end, bytes, 0, this.#length)
    if (difference <= 0) return difference === 0 && this.#repeats
    if (end - start > bytes.length) this.#grow(end - start)
    for (let i = start; i < end; i++) this.#bytes[i - start] = key[i]!
    this.#length = end - start
    return true
  }

  #grow(length: number): void {
    const grown = new Uint8Array((2 * length + 3) & -4)
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#words = new Uint32Array(grown.buffer)
  }
}
