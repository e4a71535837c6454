/**
 * Writes the parts of a snapshot, byte for byte as Lightning Stream does since 0.4: its head (versions, meta), then for
 * each DBI its head and its entries. The head of a DBI contains the size of its entries, so it is written last and
 * placed before them (`MemberCompressor.place`).
 *
 * Zero and empty fields are omitted. Sizes are exact up to 2^53. Source: docs/format.md.
 */
import * as DbiName from "../lmdb/DbiName.ts"
import type { SnapshotMeta } from "./SnapshotMeta.ts"
import { copyWords, overrun, Words } from "../bytes/Words.ts"

/** Number of bytes of a varint, for values up to 2^53. */
const varintSize = (value: number): number => {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  let size = 3
  for (let limit = 2 ** 21; value >= limit; limit *= 0x80) size++
  return size
}

const varint = (value: bigint): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  let rest = value
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return bytes
}

const varintField = (field: number, value: bigint): ReadonlyArray<number> =>
  value === 0n ? [] : [field << 3, ...varint(value)]

const bytesField = (field: number, value: Uint8Array): ReadonlyArray<number> =>
  value.length === 0 ? [] : [(field << 3) | 2, ...varint(BigInt(value.length)), ...value]

const textField = (field: number, value: string): ReadonlyArray<number> => bytesField(field, Buffer.from(value, "utf8"))

const fixed64Field = (field: number, value: bigint): ReadonlyArray<number> => {
  if (value === 0n) return []
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return [(field << 3) | 1, ...bytes]
}

/** A negative id counts as absent. */
const idField = (field: number, value: bigint): ReadonlyArray<number> => (value < 0n ? [] : varintField(field, value))

/** Returns everything before the first DBI. */
export const snapshotHead = (
  versions: { readonly formatVersion: number; readonly compatVersion: number },
  meta: SnapshotMeta
): Uint8Array<ArrayBuffer> => {
  const fields = [
    ...textField(1, meta.generationID),
    ...textField(2, meta.instanceID),
    ...textField(3, meta.hostname),
    ...textField(7, meta.databaseName),
    ...idField(4, meta.lmdbTxnID),
    ...fixed64Field(5, meta.timestampNano),
    ...idField(8, meta.fromLmdbTxnID)
  ]
  return Uint8Array.from([
    ...varintField(1, BigInt(versions.formatVersion)),
    ...varintField(4, BigInt(versions.compatVersion)),
    ...bytesField(2, Uint8Array.from(fields))
  ])
}

/**
 * Returns everything of a DBI that precedes its entries, which have `entriesBytes` bytes in total. Empty for a DBI
 * without name, flags, transform and entries.
 */
export const dbiHead = (
  name: DbiName.DbiName,
  flags: number | bigint,
  transform: string,
  entriesBytes: number
): Uint8Array<ArrayBuffer> => {
  const fields = [...bytesField(1, DbiName.toBytes(name)), ...varintField(3, BigInt(flags)), ...textField(4, transform)]
  const length = fields.length + entriesBytes
  return length === 0 ? new Uint8Array(0) : Uint8Array.from([(3 << 3) | 2, ...varint(BigInt(length)), ...fields])
}

/** Number of bytes of an entry's fields. */
const contentSize = (keyLength: number, valueLength: number, flags: number, timestampBits: number): number =>
  (keyLength === 0 ? 0 : 1 + varintSize(keyLength) + keyLength) +
  (valueLength === 0 ? 0 : 1 + varintSize(valueLength) + valueLength) +
  (flags === 0 ? 0 : 1 + varintSize(flags >>> 0)) +
  (timestampBits === 0 ? 0 : 9)

/**
 * Number of encoded bytes of an entry, its tag and length included; 0 when all its fields are empty. `timestampBits` is
 * the bitwise OR of the timestamp's two halves.
 */
export const entrySize = (keyLength: number, valueLength: number, flags: number, timestampBits: number): number => {
  const content = contentSize(keyLength, valueLength, flags, timestampBits)
  return content === 0 ? 0 : 1 + varintSize(content) + content
}

/** Encodes entries, one after the other, into a buffer that is reused and grows. */
export class EntryEncoder {
  /** The encoded entries are `bytes[0..length)`. */
  bytes: Uint8Array<ArrayBuffer>
  length = 0
  #lastStart = 0
  readonly #target = new Words()
  readonly #keys = new Words()
  readonly #values = new Words()

  constructor(buffer: Uint8Array<ArrayBuffer> = new Uint8Array(2 ** 20)) {
    this.bytes = buffer
  }

  /** Starts with an empty buffer, either this one or another. */
  reset(buffer: Uint8Array<ArrayBuffer> = this.bytes): void {
    this.bytes = buffer
    this.length = 0
  }

  /** Returns a copy of the first key. The buffer must contain entries, and their keys must not be empty. */
  firstKey(): Uint8Array {
    return keyOf(this.bytes, 0)
  }

  /** Returns a copy of the last key, under the same conditions. */
  lastKey(): Uint8Array {
    return keyOf(this.bytes, this.#lastStart)
  }

  /** Encodes an entry. Returns the number of encoded bytes, or 0 if all its fields are empty. */
  add(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    tsHigh: number,
    tsLow: number,
    flags: number
  ): number {
    const content = contentSize(keyEnd - keyStart, valueEnd - valueStart, flags, tsHigh | tsLow)
    if (content === 0) return 0
    const start = this.length
    // The tag, the longest length, and the bytes that copyWords may write past the end.
    const needed = start + 11 + content + overrun
    if (needed > this.bytes.length) this.#grow(needed)
    const { bytes } = this
    const view = this.#target.use(bytes)
    this.#lastStart = start
    bytes[start] = 0x12
    let at = writeVarint(bytes, start + 1, content)
    if (keyEnd > keyStart) {
      bytes[at] = 0x0a
      at = writeVarint(bytes, at + 1, keyEnd - keyStart)
      copyWords(bytes, view, at, key, this.#keys.use(key), keyStart, keyEnd)
      at += keyEnd - keyStart
    }
    if (valueEnd > valueStart) {
      bytes[at] = 0x12
      at = writeVarint(bytes, at + 1, valueEnd - valueStart)
      copyWords(bytes, view, at, value, this.#values.use(value), valueStart, valueEnd)
      at += valueEnd - valueStart
    }
    if (flags !== 0) {
      bytes[at] = 0x20
      at = writeVarint(bytes, at + 1, flags >>> 0)
    }
    if ((tsHigh | tsLow) !== 0) {
      bytes[at] = 0x19
      view.setUint32(at + 1, tsLow, true)
      view.setUint32(at + 5, tsHigh, true)
      at += 9
    }
    this.length = at
    return at - start
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }
}

/** Returns the key of the encoded entry at `start`. The key is its first field. */
const keyOf = (bytes: Uint8Array, start: number): Uint8Array => {
  let at = start + 1
  while (bytes[at]! >= 0x80) at++
  at += 2
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!
    length += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return Uint8Array.from(bytes.subarray(at, at + length))
  }
}

const writeVarint = (target: Uint8Array, from: number, value: number): number => {
  let at = from
  let rest = value
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    // A shift would truncate the number to 32 bits.
    rest = rest > 0x7fff_ffff ? Math.floor(rest / 0x80) : rest >> 7
  }
  target[at++] = rest
  return at
}
