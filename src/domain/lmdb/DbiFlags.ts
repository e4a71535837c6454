/** Persistent flags of a DBI, as LMDB stores them and as snapshots carry them. Source: lmdb.h. */

export const REVERSEKEY = 0x02
export const DUPSORT = 0x04
export const INTEGERKEY = 0x08
export const DUPFIXED = 0x10
export const INTEGERDUP = 0x20
export const REVERSEDUP = 0x40

/** All persistent flags, or-ed. */
export const persistent = REVERSEKEY | DUPSORT | INTEGERKEY | DUPFIXED | INTEGERDUP | REVERSEDUP

const names: ReadonlyArray<readonly [number, string]> = [
  [REVERSEKEY, "MDB_REVERSEKEY"],
  [DUPSORT, "MDB_DUPSORT"],
  [INTEGERKEY, "MDB_INTEGERKEY"],
  [DUPFIXED, "MDB_DUPFIXED"],
  [INTEGERDUP, "MDB_INTEGERDUP"],
  [REVERSEDUP, "MDB_REVERSEDUP"]
]

export const isDupsort = (flags: number): boolean => (flags & DUPSORT) !== 0

/** Returns flags as text, such as `MDB_DUPSORT|MDB_DUPFIXED` or `none`. Bits without a name are hexadecimal. */
export const display = (flags: number | bigint): string => {
  const bits = BigInt(flags)
  const parts = names.filter(([bit]) => (bits & BigInt(bit)) !== 0n).map(([, name]) => name)
  const rest = bits & ~BigInt(persistent)
  if (rest !== 0n) parts.push(`0x${rest.toString(16)}`)
  return parts.length === 0 ? "none" : parts.join("|")
}

/** Returns the flags as a number, or undefined if any bit is not a persistent flag. */
export const toNumber = (flags: bigint): number | undefined =>
  (flags & ~BigInt(persistent)) === 0n ? Number(flags) : undefined
