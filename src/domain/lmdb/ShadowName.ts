/** Names of shadow DBIs: `_sync_shadow_<dbi>`. */
import * as DbiName from "./DbiName.ts"

const prefix = "_sync_shadow_"

export const isShadow = (dbi: DbiName.DbiName): boolean => dbi.startsWith(prefix)

export const of = (dbi: DbiName.DbiName): DbiName.DbiName => DbiName.fromBytes(Buffer.from(prefix + dbi, "latin1"))

/** The DBI whose shadow has this name; undefined when it is no shadow's. */
export const mainOf = (name: DbiName.DbiName): DbiName.DbiName | undefined =>
  name.startsWith(prefix) ? DbiName.fromBytes(Buffer.from(name.slice(prefix.length), "latin1")) : undefined
