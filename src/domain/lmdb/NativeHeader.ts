/**
 * Reads and writes the header of a value in a native DBI, in place. The header has 24 bytes, big-endian, followed by n
 * extension blocks of 8 bytes.
 *
 *     0 timestamp u64 | 8 LMDB transaction id u64 | 16 version u8 = 0 | 17 flags u8 | 18 reserved, 4 bytes | 22 n u16 | 24 blocks
 *
 * These functions run once per entry, so they do not allocate, and 64-bit numbers are two 32-bit halves. Source:
 * docs/format.md.
 */

/** Bytes of the header, without extension blocks. */
export const size = 24

/** Bytes of one extension block. */
export const blockSize = 8

/** The deleted flag, the only one that snapshots carry. */
export const deletedFlag = 0x01

/** Results of `readHeader` that replace the offset. */
export const tooShort = -1
export const wrongVersion = -2

/**
 * Returns the offset of the application value of `bytes[start..end)`. Returns `tooShort` or `wrongVersion` if the value
 * is not native.
 */
export const readHeader = (bytes: Uint8Array, start: number, end: number): number => {
  if (end - start < size) return tooShort
  if (bytes[start + 16] !== 0) return wrongVersion
  const value = start + size + blockSize * ((bytes[start + 22]! << 8) | bytes[start + 23]!)
  return value > end ? tooShort : value
}

/** Returns the problem of a value, for messages, from a negative result of `readHeader`. */
export const problemOf = (code: number): string =>
  code === tooShort ? "the value is shorter than its header" : "the header has a version other than 0"

const uint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

export const timestampHigh = (bytes: Uint8Array, start: number): number => uint32(bytes, start)
export const timestampLow = (bytes: Uint8Array, start: number): number => uint32(bytes, start + 4)
export const transactionHigh = (bytes: Uint8Array, start: number): number => uint32(bytes, start + 8)
export const transactionLow = (bytes: Uint8Array, start: number): number => uint32(bytes, start + 12)

/** Returns the flags as stored, not masked. */
export const flags = (bytes: Uint8Array, start: number): number => bytes[start + 17]!

export const isDeleted = (bytes: Uint8Array, start: number): boolean => (bytes[start + 17]! & deletedFlag) !== 0

const writeUint32 = (target: Uint8Array, at: number, value: number): void => {
  target[at] = value >>> 24
  target[at + 1] = value >>> 16
  target[at + 2] = value >>> 8
  target[at + 3] = value
}

/** Writes a header with `paddingBlocks` zero blocks. Returns the offset after it. `target` must have room for it. */
export const writeHeader = (
  target: Uint8Array,
  at: number,
  tsHigh: number,
  tsLow: number,
  txnHigh: number,
  txnLow: number,
  deleted: boolean,
  paddingBlocks: number
): number => {
  writeUint32(target, at, tsHigh)
  writeUint32(target, at + 4, tsLow)
  writeUint32(target, at + 8, txnHigh)
  writeUint32(target, at + 12, txnLow)
  writeUint32(target, at + 16, deleted ? deletedFlag << 16 : 0)
  writeUint32(target, at + 20, paddingBlocks)
  const end = at + size + blockSize * paddingBlocks
  for (let i = at + size; i < end; i++) target[i] = 0
  return end
}
