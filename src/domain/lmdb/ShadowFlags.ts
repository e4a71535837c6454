/**
 * Flags of DBIs in shadow mode: which a shadow can represent, and which the shadow itself has. Source: docs/sync.md.
 */
import * as DbiFlags from "./DbiFlags.ts"

const { DUPFIXED, DUPSORT, INTEGERDUP, INTEGERKEY, REVERSEDUP, REVERSEKEY } = DbiFlags

/**
 * Returns why a DBI with these flags cannot be represented in a shadow in any configuration, or undefined if it can.
 * MDB_INTEGERKEY, MDB_DUPSORT, and MDB_DUPSORT with MDB_DUPFIXED are supported.
 */
export const impossible = (flags: number): string | undefined => {
  if ((flags & REVERSEKEY) !== 0) return "it has MDB_REVERSEKEY, which is not supported"
  if ((flags & DUPSORT) === 0) {
    // LMDB does not check for these combinations, and damages the pages of such a DBI.
    const alone = flags & (DUPFIXED | INTEGERDUP | REVERSEDUP)
    return alone === 0 ? undefined : `it has ${DbiFlags.display(alone)} without MDB_DUPSORT`
  }
  const inexact = flags & (INTEGERKEY | INTEGERDUP | REVERSEDUP)
  return inexact === 0
    ? undefined
    : `it has MDB_DUPSORT and ${DbiFlags.display(inexact)}, whose order the shadow of dupsort_hack cannot represent`
}

/** Returns why a DBI with these flags cannot be synced with this value of `dupsort_hack`, or undefined if it can. */
export const problemOf = (flags: number, dupsortHack: boolean): string | undefined =>
  DbiFlags.isDupsort(flags) && !dupsortHack && (flags & REVERSEKEY) === 0
    ? "it has MDB_DUPSORT: set dupsort_hack: true for this database"
    : impossible(flags)

/** Returns the flags of the shadow of a DBI with these flags. */
export const of = (mainFlags: number): number => ((mainFlags & DUPSORT) !== 0 ? 0 : mainFlags & INTEGERKEY)
