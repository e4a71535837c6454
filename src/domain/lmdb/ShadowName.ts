/** Names of shadow DBIs: `_sync_shadow_<dbi>`. */
import * as DbiName from "./DbiName.ts"
import { maxKeyBytes } from "./Limits.ts"

const prefix = "_sync_shadow_"

/** Bytes of a name whose shadow still has a name that LMDB can hold. */
const maxBytes = maxKeyBytes - prefix.length

export const isShadow = (dbi: DbiName.DbiName): boolean => dbi.startsWith(prefix)

export const of = (dbi: DbiName.DbiName): DbiName.DbiName => DbiName.fromBytes(Buffer.from(prefix + dbi, "latin1"))

/** The DBI whose shadow has this name; undefined when it is no shadow's. */
export const mainOf = (name: DbiName.DbiName): DbiName.DbiName | undefined =>
  name.startsWith(prefix) ? DbiName.fromBytes(Buffer.from(name.slice(prefix.length), "latin1")) : undefined

/** Why a DBI cannot have a shadow; undefined when it can. */
export const problemOf = (dbi: DbiName.DbiName): string | undefined =>
  dbi.length <= maxBytes
    ? undefined
    : `its name has ${dbi.length} bytes, and shadow mode allows ${maxBytes}: the name of its shadow has ` +
      `${prefix.length} more, and LMDB allows ${maxKeyBytes}`
