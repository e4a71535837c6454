/**
 * The order of `MergeRule` for two versions of an entry that are taken apart already, wherever they came from. It runs
 * once per entry: no allocation.
 */
import { compareBytes } from "../bytes/ByteOrder.ts"

/** One version of an entry. The value is `value[valueStart..valueEnd)`, without a header; that of a tombstone is ignored. */
export interface Version {
  /** Nanoseconds since the UNIX epoch, as two halves. */
  readonly timestampHigh: number
  readonly timestampLow: number
  readonly isDeleted: boolean
  readonly value: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
}

/** Returns a positive number if `a` wins over `b`, a negative one if it loses, 0 if they are the same. */
export const compareVersions = (a: Version, b: Version): number => {
  if (a.timestampHigh !== b.timestampHigh) return a.timestampHigh - b.timestampHigh
  if (a.timestampLow !== b.timestampLow) return a.timestampLow - b.timestampLow
  if (a.isDeleted || b.isDeleted) return Number(a.isDeleted) - Number(b.isDeleted)
  return compareBytes(b.value, b.valueStart, b.valueEnd, a.value, a.valueStart, a.valueEnd)
}
