/** Names of shadow DBIs: `_sync_shadow_<dbi>`. */
import * as DbiName from "./DbiName.ts"

const prefix = "_sync_shadow_"

export const isShadow = (dbi: DbiName.DbiName): boolean => dbi.startsWith(prefix)

export const of = (dbi: DbiName.DbiName): DbiName.DbiName => DbiName.fromBytes(Buffer.from(prefix + dbi, "latin1"))
