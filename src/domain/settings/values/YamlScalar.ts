/**
 * A single value as written in a YAML file. It is read as the type that the setting needs, whatever it looks like: `no`
 * is text for an instance and false for a switch, and `0640` is text for a name and 416 for a file mode. Source: YAML
 * 1.1 as the Go package yaml.v2 resolves it.
 */
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"

export class Scalar {
  readonly text: string
  /** True without quotes. Only then can the value be a number, a boolean or null. */
  readonly plain: boolean
  constructor(text: string, plain = true) {
    this.text = text
    this.plain = plain
  }
}

/** Values that do not come from a file (defaults, the command line, tests) count as written without quotes. */
export const scalarOf = (value: unknown): Scalar | undefined => {
  if (value instanceof Scalar) return value
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? new Scalar(String(value))
    : undefined
}

export const isNull = ({ plain, text }: Scalar): boolean => plain && /^(?:|~|null|Null|NULL)$/.test(text)

/** Accepted in lower case, in upper case, and capitalized. */
const truths = new Set(["y", "yes", "true", "on"])
const lies = new Set(["n", "no", "false", "off"])

export const booleanOf = ({ plain, text }: Scalar): boolean | undefined => {
  const lower = text.toLowerCase()
  const cased = text === lower || text === text.toUpperCase() || text === lower.charAt(0).toUpperCase() + lower.slice(1)
  if (!plain || !cased) return undefined
  return truths.has(lower) ? true : lies.has(lower) ? false : undefined
}

const integer = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))$/

/** Reads decimal numbers, `0x`, `0b`, and octal numbers with the prefix `0` or `0o`. */
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

/** Also reads `1e3` and `100.0`, which Lightning Stream accepts as integers. */
export const wholeNumberOf = (scalar: Scalar): bigint | undefined => {
  const whole = integerOf(scalar)
  if (whole !== undefined) return whole
  const number = numberOf(scalar)
  return number !== undefined && Number.isSafeInteger(number) ? BigInt(number) : undefined
}

/**
 * A setting that is one scalar in the file. `read` returns undefined for values other than the `expected` ones. `write`
 * returns the value for the effective YAML.
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
