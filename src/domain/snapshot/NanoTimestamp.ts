/**
 * The timestamp in object names, `YYYYMMDD-HHMMSS-nnnnnnnnn` in UTC, converted from and to nanoseconds since the UNIX
 * epoch.
 *
 * Parsing is exact and strict: only digits, only dates and times that exist, no leap second. Years 0000 to 9999 are
 * accepted, so the result may be negative or need more than 64 bits; `isUnsigned64` checks that. The byte order of the
 * texts is the order of the times. Source: docs/format.md.
 */

const second = 1_000_000_000n
const day = 86_400n * second

/**
 * Returns the number of days from 1970-01-01 to a day of the proleptic Gregorian calendar. Years begin in March here,
 * so that the leap day comes last.
 */
const daysOf = (year: number, month: number, dayOfMonth: number): number => {
  const y = month > 2 ? year : year - 1
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + dayOfMonth - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

/** The inverse of `daysOf`: returns [year, month, day of month]. */
const dateOf = (days: number): readonly [number, number, number] => {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  const year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  return [year, month, dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1]
}

const pattern = /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-(\d{9})$/

/** Returns nanoseconds since the UNIX epoch, or undefined when the text is not such a timestamp. */
export const parse = (text: string): bigint | undefined => {
  const match = pattern.exec(text)
  if (!match) return undefined
  const [year, month, dayOfMonth, hour, minute, seconds] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || seconds > 59) return undefined
  const days = daysOf(year, month, dayOfMonth)
  // A day that the month does not have comes back as a day of another month.
  if (dateOf(days)[1] !== month) return undefined
  return BigInt(days) * day + BigInt(hour * 3_600 + minute * 60 + seconds) * second + BigInt(match[7]!)
}

const digits = (value: number | bigint, width: number): string => String(value).padStart(width, "0")

/** Formats a time in the years 0000 to 9999. */
export const format = (nanos: bigint): string => {
  const inDay = ((nanos % day) + day) % day
  const [year, month, dayOfMonth] = dateOf(Number((nanos - inDay) / day))
  const seconds = Number(inDay / second)
  return (
    `${digits(year, 4)}${digits(month, 2)}${digits(dayOfMonth, 2)}-` +
    `${digits(Math.floor(seconds / 3_600), 2)}${digits(Math.floor(seconds / 60) % 60, 2)}${digits(seconds % 60, 2)}-` +
    digits(inDay % second, 9)
  )
}

/** True when the time fits into the unsigned 64 bits of entries and headers: from 1970 to 2554. */
export const isUnsigned64 = (nanos: bigint): boolean => BigInt.asUintN(64, nanos) === nanos
