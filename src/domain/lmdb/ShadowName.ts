/** Names of shadow DBIs: `_sync_shadow_<dbi>`. */
import * as DbiName from "./DbiName.ts"
import { maxKeyBytes } from "./Limits.ts"

const prefix = "_sync_shadow_"

/** Largest number of bytes in the name of a DBI whose shadow's name still fits into LMDB's limit. */
const maxBytes = maxKeyBytes - prefix.length

export const isShadow = (dbi: DbiName.DbiName): boolean => dbi.startsWith(prefix)

export const of = (dbi: DbiName.DbiName): DbiName.DbiName => DbiName.fromBytes(Buffer.from(prefix + dbi, "latin1"))

/** Returns the name of the DBI whose shadow has this name, or undefined when this is not the name of a shadow. */
export const mainOf = (name: DbiName.DbiName): DbiName.DbiName | undefined =>
  name.startsWith(prefix) ? DbiName.fromBytes(Buffer.from(name.slice(prefix.length), "latin1")) : undefined

/** Returns why the DBI cannot have a shadow, or undefined when it can. */
export const problemOf = (dbi: DbiName.DbiName): string | undefined =>
  dbi.length <= maxBytes
    ? undefined
    : `its name has ${dbi.length} bytes, and shadow mode allows ${maxBytes}: the name of its shadow has ` +
      `${prefix.length} more, and LMDB allows ${maxKeyBytes}`
