/**
 * Times on the command line: RFC 3339 with up to nine digits after the second (`2025-01-31T12:00:00Z`,
 * `2025-01-31 13:00:00.5+01:00`), or as in the names of snapshots (`20250131-120000-000000000`).
 */
import * as NanoTimestamp from "./NanoTimestamp.ts"

export const expected = "a time such as 2025-01-31T12:00:00Z, or as in the name of a snapshot"

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))$/

const minute = 60_000_000_000n

/** Returns nanoseconds since the UNIX epoch, or undefined when the text is not such a time. */
export const parse = (text: string): bigint | undefined => {
  const named = NanoTimestamp.parse(text)
  if (named !== undefined) return named
  const match = rfc3339.exec(text)
  if (match === null) return undefined
  const [, year, month, day, hour, minutes, seconds, fraction = "", , sign, offsetHours = "0", offsetMinutes = "0"] =
    match
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined
  const local = NanoTimestamp.parse(`${year}${month}${day}-${hour}${minutes}${seconds}-${fraction.padEnd(9, "0")}`)
  if (local === undefined) return undefined
  const offset = BigInt(Number(offsetHours) * 60 + Number(offsetMinutes)) * minute
  return sign === "-" ? local + offset : local - offset
}
