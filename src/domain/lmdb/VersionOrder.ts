/**
 * The order of `MergeRule` for two versions of an entry that have already been decoded, whatever their source. It runs
 * once per entry and allocates nothing.
 */
import { compareBytes } from "../bytes/ByteOrder.ts"

/**
 * A version of an entry. The value is `value[valueStart..valueEnd)`, without a header. The value of a tombstone is
 * ignored.
 */
export interface Version {
  /** Nanoseconds since the UNIX epoch, as two unsigned 32-bit halves. */
  readonly timestampHigh: number
  readonly timestampLow: number
  readonly isDeleted: boolean
  readonly value: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
}

/** Returns a positive number if `a` wins over `b`, a negative number if it loses, and 0 if they are equal. */
export const compareVersions = (a: Version, b: Version): number => {
  if (a.timestampHigh !== b.timestampHigh) return a.timestampHigh - b.timestampHigh
  if (a.timestampLow !== b.timestampLow) return a.timestampLow - b.timestampLow
  if (a.isDeleted || b.isDeleted) return Number(a.isDeleted) - Number(b.isDeleted)
  return compareBytes(b.value, b.valueStart, b.valueEnd, a.value, a.valueStart, a.valueEnd)
}
