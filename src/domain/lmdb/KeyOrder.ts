/**
 * The order of a DBI's keys: byte order by default, the order of unsigned little-endian integers with MDB_INTEGERKEY,
 * and byte order from the last byte to the first with MDB_REVERSEKEY. An order is a number and not an object, because
 * comparisons run once per entry.
 */
import { compareBytes, type Sides } from "../bytes/ByteOrder.ts"
import * as DbiFlags from "./DbiFlags.ts"

export const plain = 0
export const integer = 1
export const reverse = 2

export type KeyOrder = typeof plain | typeof integer | typeof reverse

/** Returns the order of a DBI with these persistent flags. */
export const orderOf = (flags: number): KeyOrder =>
  (flags & DbiFlags.REVERSEKEY) !== 0 ? reverse : (flags & DbiFlags.INTEGERKEY) !== 0 ? integer : plain

/** Returns the order for messages. */
export const display = (order: KeyOrder): string =>
  order === plain
    ? "byte order"
    : order === integer
      ? "order of unsigned little-endian integers"
      : "byte order of the reversed keys"

/** Compares integers. Missing bytes count as zero, so that keys of different lengths have an order, too. */
const compareIntegers = (
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number
): number => {
  const aLength = aEnd - aStart
  const bLength = bEnd - bStart
  for (let i = (aLength > bLength ? aLength : bLength) - 1; i >= 0; i--) {
    const difference = (i < aLength ? a[aStart + i]! : 0) - (i < bLength ? b[bStart + i]! : 0)
    if (difference !== 0) return difference
  }
  return 0
}

const compareReversed = (
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number
): number => {
  let i = aEnd
  let j = bEnd
  while (i > aStart && j > bStart) {
    const difference = a[--i]! - b[--j]!
    if (difference !== 0) return difference
  }
  return i - aStart - (j - bStart)
}

/**
 * Compares `a[aStart..aEnd)` with `b[bStart..bEnd)`. Returns a negative number, 0 or a positive number. ByteOrder
 * describes `sides`.
 */
export const compareKeys = (
  order: KeyOrder,
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
  sides?: Sides
): number => {
  if (order === plain) return compareBytes(a, aStart, aEnd, b, bStart, bEnd, sides)
  if (order === integer) return compareIntegers(a, aStart, aEnd, b, bStart, bEnd)
  return compareReversed(a, aStart, aEnd, b, bStart, bEnd)
}
