/**
 * One value as it is written in a YAML file, read as what the setting needs rather than as what it looks like: `no` is
 * text for an instance and false for a switch, `0640` is text for a name and 416 for a file mode. Source: YAML 1.1 as
 * the Go package yaml.v2 resolves it.
 */
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"

export class Scalar {
  readonly text: string
  /** Without quotes: only then can it be a number, a boolean or null. */
  readonly plain: boolean
  constructor(text: string, plain = true) {
    this.text = text
    this.plain = plain
  }
}

/** Values from elsewhere than a file (a default, a command line, a test) are as if written without quotes. */
export const scalarOf = (value: unknown): Scalar | undefined => {
  if (value instanceof Scalar) return value
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? new Scalar(String(value))
    : undefined
}

export const isNull = ({ plain, text }: Scalar): boolean => plain && /^(?:|~|null|Null|NULL)$/.test(text)

/** Each in lower case, upper case, and with a capital. */
const truths = new Set(["y", "yes", "true", "on"])
const lies = new Set(["n", "no", "false", "off"])

export const booleanOf = ({ plain, text }: Scalar): boolean | undefined => {
  const lower = text.toLowerCase()
  const cased = text === lower || text === text.toUpperCase() || text === lower.charAt(0).toUpperCase() + lower.slice(1)
  if (!plain || !cased) return undefined
  return truths.has(lower) ? true : lies.has(lower) ? false : undefined
}

const integer = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))$/

/** Decimal, `0x`, `0b`, and octal with `0` or `0o` before it. */
export const integerOf = ({ plain, text }: Scalar): bigint | undefined => {
  const match = plain ? integer.exec(text.replaceAll("_", "")) : null
  if (!match) return undefined
  const [, sign, hexadecimal, binary, octal, decimal] = match
  const digits = hexadecimal ? `0x${hexadecimal}` : binary ? `0b${binary}` : octal ? `0o${octal}` : decimal!
  return sign === "-" ? -BigInt(digits) : BigInt(digits)
}

const float = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/

export const numberOf = (scalar: Scalar): number | undefined => {
  const whole = integerOf(scalar)
  if (whole !== undefined) return Number(whole)
  const text = scalar.text.replaceAll("_", "")
  return scalar.plain && float.test(text) ? Number(text) : undefined
}

/** `1e3` and `100.0` too, which Lightning Stream takes as integers. */
export const wholeNumberOf = (scalar: Scalar): bigint | undefined => {
  const whole = integerOf(scalar)
  if (whole !== undefined) return whole
  const number = numberOf(scalar)
  return number !== undefined && Number.isSafeInteger(number) ? BigInt(number) : undefined
}

/**
 * A setting that is one scalar in the file. `read` answers undefined for what is not `expected`; `write` makes what the
 * effective YAML shows.
 */
export const setting = <A>(options: {
  readonly type: Schema.Codec<A, A>
  readonly expected: string
  readonly read: (scalar: Scalar) => A | undefined
  readonly write: (value: A) => string | number | boolean
}) =>
  Schema.Unknown.pipe(
    Schema.decodeTo(
      options.type,
      SchemaTransformation.transformEffect<A, unknown>({
        decode: (written) => {
          const scalar = scalarOf(written)
          const value = scalar && options.read(scalar)
          return value === undefined
            ? Effect.fail(new SchemaIssue.InvalidValue({ expected: options.expected }))
            : Effect.succeed(value)
        },
        encode: (value) => Effect.succeed(options.write(value))
      })
    )
  )
