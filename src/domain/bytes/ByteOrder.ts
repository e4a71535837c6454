/**
 * Lexicographic order of unsigned bytes, a prefix first: what LMDB calls the order of plain keys, and what decides a
 * tie between values.
 *
 * A plain loop, since most keys and values are short and a call into C++ costs as much as comparing 100 bytes; from
 * `loopLimit` equal bytes on memcmp takes over. Who compares once for each entry has `Sides`: what is equal is then
 * passed over four bytes at a time, which takes half of the time for the keys and values of an entry, and memcmp takes
 * over later.
 */
import { equalWords, loopLimit as wordsLimit, Words } from "./Words.ts"

const loopLimit = 96

/** Views of the two arrays that were compared last. */
export class Sides {
  readonly a = new Words()
  readonly b = new Words()
}

/** Negative, 0 or positive. Offsets are within the arrays. */
export const compareBytes = (
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
  sides?: Sides
): number => {
  const aLength = aEnd - aStart
  const bLength = bEnd - bStart
  const common = aLength < bLength ? aLength : bLength
  const limit = sides === undefined ? loopLimit : wordsLimit
  const looped = common > limit ? limit : common
  for (
    let i = sides === undefined ? 0 : equalWords(sides.a.use(a), aStart, sides.b.use(b), bStart, looped);
    i < looped;
    i++
  ) {
    const difference = a[aStart + i]! - b[bStart + i]!
    if (difference !== 0) return difference
  }
  if (looped === common) return aLength - bLength
  // A method of Buffer that needs nothing but a Uint8Array as `this`.
  return Buffer.prototype.compare.call(a, b, bStart + looped, bEnd, aStart + looped, aEnd)
}
