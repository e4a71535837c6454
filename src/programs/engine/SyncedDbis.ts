/** Decides which DBIs of an environment are synced, and checks that they can be. Source: docs/sync.md. */
import * as DbiFlags from "../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as ShadowFlags from "../../domain/lmdb/ShadowFlags.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import { UnsupportedDbi } from "../../services/Database.ts"
import type { Dbi } from "../../services/Lmdb.ts"

const unsupported = (dbi: Dbi, problem: string) => new UnsupportedDbi({ dbi: DbiName.display(dbi.name), problem })

/** Throws for a DBI with flags, because native mode supports only DBIs without flags. */
export const checkNative = (dbi: Dbi): void => {
  if (dbi.flags !== 0)
    throw unsupported(dbi, `it has the flags ${DbiFlags.display(dbi.flags)}, and native mode supports plain DBIs only`)
}

export const checkShadow = (dbi: Dbi, dupsortHack: boolean): void => {
  const problem = ShadowName.problemOf(dbi.name) ?? ShadowFlags.problemOf(dbi.flags, dupsortHack)
  if (problem !== undefined) throw unsupported(dbi, problem)
}

/** Returns the error of a DBI that was recreated and no longer matches its shadow. */
export const otherShadow = (dbi: Dbi, difference: string): UnsupportedDbi =>
  unsupported(
    dbi,
    `its shadow has ${difference}: the application has recreated this DBI with other flags or keys: run drop-shadow and start again`
  )

/** Returns the same error for a shadow of a DBI without MDB_DUPSORT. */
export const otherKeys = (dbi: Dbi): UnsupportedDbi => otherShadow(dbi, "keys that are not those of a MDB_DUPSORT DBI")

/** Throws if `dbi` was recreated with other flags than those that its shadow was created for. */
export const checkShadowFlags = (dbi: Dbi, shadow: Dbi): void => {
  const wanted = ShadowFlags.of(dbi.flags)
  if (shadow.flags !== wanted)
    throw otherShadow(dbi, `the flags ${DbiFlags.display(shadow.flags)}, not ${DbiFlags.display(wanted)}`)
}

/** Returns the application's DBIs. Throws for one that the mode cannot sync. */
export const syncedDbis = (dbis: ReadonlyArray<Dbi>, check: (dbi: Dbi) => void): ReadonlyArray<Dbi> => {
  const synced = dbis.filter((dbi) => !DbiName.isPrivate(dbi.name))
  for (const dbi of synced) check(dbi)
  return synced
}
