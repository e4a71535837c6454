/**
 * Compares bytes in lexicographic order, in which a prefix comes first. This is LMDB's order of plain keys, and it
 * decides ties between values.
 *
 * Most keys and values are short, and a call into C++ costs as much as comparing 100 bytes in a loop, so memcmp is used
 * only after `loopLimit` equal bytes. Callers that compare once per entry pass `Sides`: equal bytes are then skipped
 * four at a time, which halves the time per entry, and memcmp is used later.
 */
import { equalWords, loopLimit as wordsLimit, Words } from "./Words.ts"

const loopLimit = 96

/** Reusable views of the two arrays that were compared last. */
export class Sides {
  readonly a = new Words()
  readonly b = new Words()
}

/** Returns a negative number, 0 or a positive number. The offsets must lie within the arrays. */
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
  // This method of Buffer works on any Uint8Array.
  return Buffer.prototype.compare.call(a, b, bStart + looped, bEnd, aStart + looped, aEnd)
}
