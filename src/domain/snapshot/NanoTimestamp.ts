/**
 * The timestamp in object names, `YYYYMMDD-HHMMSS-nnnnnnnnn` in UTC, converted from and to nanoseconds since the UNIX
 * epoch.
 *
 * Parsing is exact and strict: only digits, only dates and times that exist, no leap second. Years 0000 to 9999 are
 * accepted, so the result may be negative or need more than 64 bits; `isUnsigned64` checks that. The byte order of the
 * texts is the order of the times. Source: docs/format.md.
 */
import { DateTime } from "effect"

const second = 1_000_000_000n

const pattern = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-(\d{9})$/

/** Formats milliseconds as `YYYY-MM-DDTHH:MM:SS.mmmZ`. */
const isoOf = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

/** Returns nanoseconds since the UNIX epoch, or undefined when the text is not such a timestamp. */
export const parse = (text: string): bigint | undefined => {
  const match = pattern.exec(text)
  if (!match) return undefined
  const [, year, month, day, hour, minute, seconds, nanos] = match
  const millis = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${seconds}.000Z`)
  // Date.parse counts on to another day for hour 24, and for a day that the month does not have.
  if (Number.isNaN(millis) || hour === "24" || isoOf(millis).slice(8, 10) !== day) return undefined
  return BigInt(millis / 1_000) * second + BigInt(nanos!)
}

/** Formats a time in the years 0000 to 9999. */
export const format = (nanos: bigint): string => {
  const inSecond = ((nanos % second) + second) % second
  const iso = isoOf(Number((nanos - inSecond) / second) * 1_000)
  return `${iso.slice(0, 19).replace(/[-:]/g, "").replace("T", "-")}-${String(inSecond).padStart(9, "0")}`
}

/** True when the time fits into the unsigned 64 bits of entries and headers: from 1970 to 2554. */
export const isUnsigned64 = (nanos: bigint): boolean => BigInt.asUintN(64, nanos) === nanos
