/**
 * The kinds of setting values besides durations, sizes, modes and DBI flags. Each states which values it expects.
 */
import { Redacted, Schema } from "effect"
import * as YamlScalar from "./YamlScalar.ts"

/** Text as written, quoted or not: `no` and `0123` are text here. */
export const Text = YamlScalar.setting({
  type: Schema.String,
  expected: "text",
  read: ({ text }) => text,
  write: (text) => text
})

export const TextNotEmpty = Text.check(Schema.makeFilter((text) => text !== "", { expected: "text, not empty" }))

export const Switch = YamlScalar.setting({
  type: Schema.Boolean,
  expected: "a boolean: true or false (also yes, no, on, off)",
  read: YamlScalar.booleanOf,
  write: (value) => value
})

const safe = (value: bigint | undefined): number | undefined =>
  value !== undefined && BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))
    ? Number(value)
    : undefined

export const integerAtLeast = (minimum: number) =>
  YamlScalar.setting({
    type: Schema.Int,
    expected: `an integer, at least ${minimum}`,
    read: (scalar) => safe(YamlScalar.wholeNumberOf(scalar)),
    write: (value) => value
  }).check(Schema.makeFilter((value) => value >= minimum, { expected: `an integer, at least ${minimum}` }))

export const numberAbove = (minimum: number) =>
  YamlScalar.setting({
    type: Schema.Finite,
    expected: `a number above ${minimum}`,
    read: YamlScalar.numberOf,
    write: (value) => value
  }).check(Schema.makeFilter((value) => value > minimum, { expected: `a number above ${minimum}` }))

/** One of a few words. `read` maps the text of the file to one of the words, or to text that is then refused. */
export const oneOf = <const Words extends ReadonlyArray<string>>(
  words: Words,
  read: (text: string) => string = (text) => text
) =>
  YamlScalar.setting<Words[number]>({
    type: Schema.Literals(words),
    expected: `one of ${words.join(", ")}`,
    read: ({ text }) => words.find((word) => word === read(text)),
    write: (word) => word
  })

export const hidden = "<hidden>"

/** A secret, which is hidden in messages and in the effective YAML. */
export const Secret = YamlScalar.setting<Redacted.Redacted<string>>({
  type: Schema.Redacted(Schema.String),
  expected: "text",
  read: ({ text }) => Redacted.make(text),
  write: () => hidden
})

export interface ListenAddress {
  /** The host, without the brackets of an IPv6 address. Empty stands for all interfaces. */
  readonly host: string
  readonly port: number
}

/** Parses `host:port`, `[ip6]:port` or `:port`. Returns undefined for any other text. */
export const parseListenAddress = (text: string): ListenAddress | undefined => {
  const [, ip6, host = "", port] = /^(?:\[([0-9A-Fa-f:.]+(?:%[^\]]+)?)\]|([^:[\]\s/]*)):([0-9]{1,5})$/.exec(text) ?? []
  return port === undefined || Number(port) > 65_535 ? undefined : { host: ip6 ?? host, port: Number(port) }
}

/** A listen address, kept as written. Empty stands for none. */
export const ListenAddressText = Text.check(
  Schema.makeFilter((text) => text === "" || parseListenAddress(text) !== undefined, {
    expected: "an address to listen on: host:port, [ip6]:port or :port (all interfaces)"
  })
)

const urlOf = (text: string): URL | undefined =>
  /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined
const isBare = (url: URL): boolean => url.search === "" && url.hash === "" && url.username === "" && url.password === ""

/** Empty stands for the default. */
export const Endpoint = Text.check(
  Schema.makeFilter(
    (text) => {
      const url = urlOf(text)
      return text === "" || (url !== undefined && isBare(url) && url.pathname === "/")
    },
    { expected: "http://host[:port] or https://host[:port], without path, query, user or password" }
  )
)

export const EndpointWithPath = Text.check(
  Schema.makeFilter(
    (text) => {
      const url = urlOf(text)
      return text === "" || (url !== undefined && isBare(url))
    },
    { expected: "http://host[:port][/path] or https://host[:port][/path], without query, user or password" }
  )
)

/**
 * Describes a name that can be part of object names, `<database>__<instance>__…`, which are split at the first `__` and
 * the first dot.
 */
export const databaseNameExpected =
  "a name that survives in object names: not empty, no dot, no slash, no control character, no __, not ending in _"
export const isDatabaseName = (name: string): boolean => name !== "" && !/[./\p{Cc}]|__|_$/u.test(name)
