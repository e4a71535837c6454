/**
 * Persistent flags of a DBI as text: a number (decimal, octal or `0x…`), or names such as `MDB_DUPSORT|MDB_DUPFIXED`.
 * Names are case-insensitive, the prefix `MDB_` is optional, and the separator is `|`, `,`, `+` or a space. Source:
 * lmdb.h, docs/configuration.md.
 */
import { Schema } from "effect"
import * as DbiFlags from "../../lmdb/DbiFlags.ts"
import * as YamlScalar from "./YamlScalar.ts"

const { DUPFIXED, DUPSORT, INTEGERDUP, INTEGERKEY, REVERSEDUP, REVERSEKEY } = DbiFlags
const bits: Readonly<Record<string, number>> = { REVERSEKEY, DUPSORT, INTEGERKEY, DUPFIXED, INTEGERDUP, REVERSEDUP }

export const expected = `persistent flags of a DBI: ${Object.keys(bits)
  .map((name) => `MDB_${name}`)
  .join(", ")}, joined by |, or a number of these (0x02 to 0x40); "" or 0 is none`

/** Returns undefined when the text contains anything but persistent flags. */
export const parse = (text: string): number | undefined => {
  const number = YamlScalar.integerOf(new YamlScalar.Scalar(text.trim()))
  if (number !== undefined)
    return number >= 0n && (number & ~BigInt(DbiFlags.persistent)) === 0n ? Number(number) : undefined
  let flags = 0
  for (const word of text.split(/[|,+\s]+/)) {
    const bit = word === "" ? 0 : bits[word.toUpperCase().replace(/^MDB_/, "")]
    if (bit === undefined) return undefined
    flags |= bit
  }
  return flags
}

/** Returns text such as `MDB_DUPSORT|MDB_DUPFIXED`, or an empty text when no flag is set. */
export const format = (flags: number): string => (flags === 0 ? "" : DbiFlags.display(flags))

export const DbiFlagsText = YamlScalar.setting({
  type: Schema.Int,
  expected,
  read: ({ text }) => parse(text),
  write: format
})
