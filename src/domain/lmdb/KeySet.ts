/**
 * A set of keys that is stored in a few growing buffers, so that adding a key allocates no object. Membership is
 * decided by a hash table of indexes with open addressing.
 */
import { compareBytes } from "../bytes/ByteOrder.ts"
import { compareKeys, type KeyOrder } from "./KeyOrder.ts"

const firstBytes = 256
const firstKeys = 16

/** Returns FNV-1a of the key, with the high bits mixed into the low ones. */
const hashOf = (bytes: Uint8Array, start: number, end: number): number => {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash ^ (hash >>> 15)
}

export class KeySet {
  /** Key `i` is `bytes[startOf(i)..endOf(i))`, in the order in which they were added. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(firstBytes)
  count = 0
  /** A number for each key, which the owner of the set may use. New keys have 0. */
  marks = new Uint8Array(firstKeys)
  private ends = new Uint32Array(firstKeys)
  /**
   * The hash table. Each element is the index of a key + 1, at the position of its hash or after it, or 0 if it is
   * free. At most half of the elements are in use.
   */
  private table = new Int32Array(2 * firstKeys)

  startOf(index: number): number {
    return index === 0 ? 0 : this.ends[index - 1]!
  }

  endOf(index: number): number {
    return this.ends[index]!
  }

  /** Size of the buffers in bytes. */
  get held(): number {
    return this.bytes.length + this.marks.length + this.ends.byteLength + this.table.byteLength
  }

  /** Adds `key[start..end)` unless the set contains it. Returns its index. */
  add(key: Uint8Array, start: number, end: number): number {
    const mask = this.table.length - 1
    let place = hashOf(key, start, end) & mask
    for (let found = this.table[place]!; found !== 0; found = this.table[place]!) {
      if (compareBytes(this.bytes, this.startOf(found - 1), this.endOf(found - 1), key, start, end) === 0)
        return found - 1
      place = (place + 1) & mask
    }
    const at = this.count === 0 ? 0 : this.endOf(this.count - 1)
    this.reserve(at + end - start)
    for (let i = start, to = at; i < end; i++, to++) this.bytes[to] = key[i]!
    this.ends[this.count++] = at + end - start
    this.table[place] = this.count
    if (2 * this.count > mask) this.growTable()
    return this.count - 1
  }

  /** Adds all keys of another set. A mark of this set takes precedence over the mark of the same key there. */
  addAll(other: KeySet): void {
    for (let i = 0; i < other.count; i++) {
      const index = this.add(other.bytes, other.startOf(i), other.endOf(i))
      if (this.marks[index] === 0) this.marks[index] = other.marks[i]!
    }
  }

  /** Adds all keys of another set. A mark other than 0 there takes precedence over the mark of the same key here. */
  addLater(later: KeySet): void {
    for (let i = 0; i < later.count; i++) {
      const index = this.add(later.bytes, later.startOf(i), later.endOf(i))
      if (later.marks[i] !== 0) this.marks[index] = later.marks[i]!
    }
  }

  /** Returns the indexes of the keys, sorted in the key order of a DBI. */
  sorted(order: KeyOrder): Uint32Array {
    const { bytes } = this
    return Uint32Array.from({ length: this.count }, (_, index) => index).sort((a, b) =>
      compareKeys(order, bytes, this.startOf(a), this.endOf(a), bytes, this.startOf(b), this.endOf(b))
    )
  }

  private reserve(size: number): void {
    if (size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(size, 2 * this.bytes.length))
      grown.set(this.bytes)
      this.bytes = grown
    }
    if (this.count === this.ends.length) {
      const grown = new Uint32Array(2 * this.ends.length)
      grown.set(this.ends)
      this.ends = grown
      const marks = new Uint8Array(this.ends.length)
      marks.set(this.marks)
      this.marks = marks
    }
  }

  private growTable(): void {
    const table = new Int32Array(2 * this.table.length)
    const mask = table.length - 1
    for (let i = 0; i < this.count; i++) {
      let place = hashOf(this.bytes, this.startOf(i), this.endOf(i)) & mask
      while (table[place] !== 0) place = (place + 1) & mask
      table[place] = i + 1
    }
    this.table = table
  }
}
