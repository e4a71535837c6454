/** Converts the flags of a DBI to the options by which the package `lmdb` is told to create it. */
import * as DbiFlags from "../../../src/domain/lmdb/DbiFlags.ts"

export const packageFlags = (flags: number) => ({
  reverseKey: (flags & DbiFlags.REVERSEKEY) !== 0,
  dupSort: (flags & DbiFlags.DUPSORT) !== 0,
  keyIsUint32: (flags & DbiFlags.INTEGERKEY) !== 0,
  dupFixed: (flags & DbiFlags.DUPFIXED) !== 0,
  integerDup: (flags & DbiFlags.INTEGERDUP) !== 0,
  reverseDup: (flags & DbiFlags.REVERSEDUP) !== 0
})
