/** Formats keys, values and times for people who inspect a snapshot. Source: docs/cli.md. */
import * as NanoTimestamp from "./NanoTimestamp.ts"

/** Returns a time such as `2023-11-14T22:13:20.000000001Z`. */
export const rfc3339 = (nanos: bigint): string =>
  NanoTimestamp.format(nanos).replace(/^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-(\d{9})$/, "$1-$2-$3T$4:$5:$6.$7Z")

const year2022 = 1_640_995_200_000_000_000n
const ahead = 30n * 86_400_000_000_000n

/**
 * Returns the first 8 bytes as a time in big-endian order, as native headers begin, or undefined when that time is
 * implausible.
 */
const timeAtStart = (bytes: Buffer, now: bigint): bigint | undefined => {
  if (bytes.length < 8) return undefined
  const nanos = bytes.readBigUInt64BE()
  return nanos >= year2022 && nanos <= now + ahead ? nanos : undefined
}

/**
 * Returns the bytes as printable ASCII with `.` for all other bytes, followed by the hexadecimal form in brackets where
 * it says more. `now` is in nanoseconds since the UNIX epoch.
 */
export const readable = (bytes: Buffer, now: bigint): string => {
  const text = bytes.toString("latin1").replace(/[^ -~]/g, ".")
  const time = timeAtStart(bytes, now)
  const isPlain = bytes.every((byte) => byte >= 0x20 && byte <= 0x7e)
  if (isPlain && bytes.length > 8 && time === undefined) return text
  const hex = bytes.toString("hex").replace(/..(?=.)/g, "$& ")
  return `${text} [${hex}]${time === undefined ? "" : ` (${rfc3339(time)})`}`
}
