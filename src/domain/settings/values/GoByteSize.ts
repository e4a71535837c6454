/**
 * Sizes in bytes as Lightning Stream reads them: `1GB` is 1024³ bytes. `Gb` would mean bits and is refused. Source: the
 * Go package datasize, and docs/configuration.md.
 */
import { Schema } from "effect"
import * as YamlScalar from "./YamlScalar.ts"

const units = ["", "k", "m", "g", "t", "p", "e"] as const
/** There is no word for E, as in Lightning Stream. */
const words = ["", "kilo", "mega", "giga", "tera", "peta"] as const

const powerOf = (unit: string): number => {
  const lower = unit.toLowerCase()
  return units.findIndex(
    (letter, power) =>
      lower === letter ||
      lower === `${letter}b` ||
      (words[power] !== undefined && [words[power], `${words[power]}byte`, `${words[power]}bytes`].includes(lower))
  )
}

export const expected =
  "a size in bytes such as 512MB or 1GB: a whole number and B, KB, MB, GB, TB or PB of 1024 each (Kb, Mb, Gb … mean bits)"

/** Returns undefined when the text is not a size or exceeds 2^53 bytes. */
export const parse = (text: string): number | undefined => {
  const [, digits = "", unit = ""] = /^([0-9]+)\s*([A-Za-z]*)\s*$/.exec(text) ?? []
  const power = /^[KMGTPE]b$/.test(unit) ? -1 : powerOf(unit)
  const size = digits === "" || power < 0 ? NaN : Number(digits) * 1024 ** power
  return Number.isSafeInteger(size) ? size : undefined
}

/** Uses the largest unit that is exact: `1000MB`, `1GB`, `1025KB`. */
export const format = (bytes: number): string => {
  let size = bytes
  let power = 0
  while (size !== 0 && size % 1024 === 0 && power < units.length - 1) {
    size /= 1024
    power++
  }
  return `${size}${units[power]!.toUpperCase()}B`
}

export const ByteSize = YamlScalar.setting({
  type: Schema.Int,
  expected,
  read: ({ text }) => parse(text),
  write: format
})
