/**
 * Durations in Go's notation ("1h30m", "500ms", "-1.5s"), which existing configuration files use. An unquoted number
 * without a unit is a number of nanoseconds. Integers keep the values exact: 1.1 s is not a whole number of nanoseconds
 * in binary floating point. Source: time.ParseDuration and time.Duration.String of Go's standard library.
 */
import { Duration, Schema } from "effect"
import * as YamlScalar from "./YamlScalar.ts"

const nanosPer: Readonly<Record<string, bigint>> = {
  h: 3_600_000_000_000n,
  m: 60_000_000_000n,
  s: 1_000_000_000n,
  ms: 1_000_000n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ns: 1n
}

const part = /(?=\.?\d)(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g
const whole = new RegExp(`^([-+]?)((?:${part.source})+|0)$`)

/** The largest duration in Go: 292 years. */
const maximum = 2n ** 63n - 1n

export const expected = `a duration such as "1h30m", "500ms" or "1.5s" (units: ns, us, ms, s, m, h)`

/**
 * Effect's Duration has a representation in nanoseconds and another one in milliseconds, and deep equality compares
 * equal durations in different representations as different.
 */
const fromNanos = (nanos: bigint): Duration.Duration | undefined => {
  if (nanos > maximum || nanos < -maximum) return undefined
  return nanos % 1_000_000n === 0n ? Duration.millis(Number(nanos / 1_000_000n)) : Duration.nanos(nanos)
}

/** Returns undefined when the text is not a duration. A number without a unit is not one. */
export const parse = (text: string): Duration.Duration | undefined => {
  const [, sign, parts] = whole.exec(text) ?? []
  if (parts === undefined) return undefined
  let nanos = 0n
  for (const [, integer = "", fraction = "", unit = ""] of parts.matchAll(part)) {
    nanos += (BigInt(integer + fraction) * nanosPer[unit]!) / 10n ** BigInt(fraction.length)
  }
  return fromNanos(sign === "-" ? -nanos : nanos)
}

/** Formats `value` as a number of units of `nanos` nanoseconds, without zeros at the end of the fraction. */
const decimal = (value: bigint, nanos: bigint): string => {
  const fraction = (value % nanos)
    .toString()
    .padStart(nanos.toString().length - 1, "0")
    .replace(/0+$/, "")
  return `${value / nanos}${nanos > 1n && fraction !== "" ? `.${fraction}` : ""}`
}

/** Returns text such as `4h0m0s`, `1m30s`, `1.5s`, `250ms` or `0s`. */
export const format = (duration: Duration.Duration): string => {
  const signed = Duration.toNanosUnsafe(duration)
  const nanos = signed < 0n ? -signed : signed
  const sign = signed < 0n ? "-" : ""
  if (nanos === 0n) return "0s"
  for (const unit of ["ns", "µs", "ms"]) {
    const per = nanosPer[unit]!
    if (nanos < per * 1_000n) return `${sign}${decimal(nanos, per)}${unit}`
  }
  const minutes = nanos / nanosPer.m!
  const seconds = `${decimal(nanos % nanosPer.m!, nanosPer.s!)}s`
  if (minutes === 0n) return sign + seconds
  return minutes < 60n ? `${sign}${minutes}m${seconds}` : `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`
}

export const GoDuration = YamlScalar.setting({
  type: Schema.Duration,
  expected,
  read: (scalar) => {
    const nanos = YamlScalar.wholeNumberOf(scalar)
    return nanos === undefined ? parse(scalar.text) : fromNanos(nanos)
  },
  write: format
})

/**
 * Accepts durations of at least `minimum` and, with `orZero`, also 0. The arguments are in Go's notation because the
 * error message quotes them.
 */
export const durationAtLeast = (minimum: string, orZero = false) => {
  const least = parse(minimum)!
  return GoDuration.check(
    Schema.makeFilter(
      (duration) => Duration.isGreaterThanOrEqualTo(duration, least) || (orZero && Duration.isZero(duration)),
      {
        expected: `${orZero ? "0 or " : ""}a duration of at least ${minimum}`
      }
    )
  )
}

export const durationPositive = GoDuration.check(
  Schema.makeFilter((duration) => Duration.isGreaterThan(duration, Duration.zero), { expected: "a duration above 0" })
)
