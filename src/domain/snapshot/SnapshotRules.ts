/**
 * Decides whether a valid snapshot can be merged here, by its versions, and by the name, flags and transform of each
 * DBI. Each check returns the reason for a refusal with what to do about it, or undefined. Source: docs/format.md.
 *
 * A reader knows these values for certain only at the end of the snapshot or of the DBI. KeyLayout checks the keys.
 */
import { Schema } from "effect"
import * as DbiFlags from "../lmdb/DbiFlags.ts"
import * as DbiName from "../lmdb/DbiName.ts"
import * as ShadowName from "../lmdb/ShadowName.ts"
import { maxKeyBytes } from "../lmdb/Limits.ts"

/**
 * The snapshot is valid, but this version, mode or configuration must not merge it. Retrying does not help until an
 * operator acts.
 */
export class SnapshotRefused extends Schema.TaggedError<SnapshotRefused>()("SnapshotRefused", {
  /** The reason, for messages. */
  problem: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}

/** The fields of a DBI message that describe the DBI. */
export interface DbiHead {
  readonly name: DbiName.DbiName
  readonly flags: bigint
  readonly transform: string
}

/** The newest `compatVersion` that this version understands. */
export const newestCompatVersion = 3

export const dupsortTransform = "dupsort_hack_v1"

/** Checks the versions of the snapshot. */
export const versionRefusal = (formatVersion: number, compatVersion: number): string | undefined => {
  if (formatVersion === 0) return "it has no format version: whatever wrote it is no Lightning Stream"
  if (compatVersion > newestCompatVersion) {
    return `only readers of compatVersion ${compatVersion} understand it, this one is of ${newestCompatVersion}: update this instance`
  }
  return undefined
}

const nameRefusal = (name: DbiName.DbiName): string | undefined => {
  if (name === "") return "it has no name"
  if (name.includes("\0")) return "its name has a NUL byte, which LMDB's functions take for its end"
  return name.length > maxKeyBytes ? `its name has ${name.length} bytes, LMDB allows ${maxKeyBytes}` : undefined
}

/**
 * Checks a DBI in native mode, which supports plain DBIs only. Our own DBIs are never merged, so they are never
 * refused.
 */
export const nativeDbiRefusal = (dbi: DbiHead): string | undefined => {
  if (DbiName.isPrivate(dbi.name)) return undefined
  const name = nameRefusal(dbi.name)
  if (name !== undefined) return name
  if (dbi.transform !== "") return `it has the transform "${dbi.transform}", which native mode does not support`
  return dbi.flags === 0n
    ? undefined
    : `it has the flags ${DbiFlags.display(dbi.flags)}, which native mode does not support`
}

/** Local facts about a DBI in shadow mode. */
export interface ShadowSettings {
  /** True when the DBI exists here. The snapshot then need not contain its flags. */
  readonly exists: boolean
  /** Value of `override_create_flags` for the DBI. */
  readonly overrideCreateFlags: number | undefined
  /** Value of `dupsort_hack` for the database. */
  readonly dupsortHack: boolean
}

const transformRefusal = (dbi: DbiHead, flags: number, dupsortHack: boolean): string | undefined => {
  const dupsort = (flags & DbiFlags.DUPSORT) !== 0
  if (dbi.transform !== "" && dbi.transform !== dupsortTransform)
    return `it has the unknown transform "${dbi.transform}": update this instance`
  if (dupsort && dbi.transform === "") return `it has MDB_DUPSORT without the transform "${dupsortTransform}"`
  if (!dupsort && dbi.transform !== "") return `it has the transform "${dbi.transform}" without MDB_DUPSORT`
  return dupsort && !dupsortHack ? "it has MDB_DUPSORT: set dupsort_hack: true for this database" : undefined
}

/** Checks a DBI in shadow mode. Our own DBIs are never merged, so they are never refused. */
export const shadowDbiRefusal = (dbi: DbiHead, formatVersion: number, settings: ShadowSettings): string | undefined => {
  if (DbiName.isPrivate(dbi.name)) return undefined
  const name = nameRefusal(dbi.name) ?? ShadowName.problemOf(dbi.name)
  if (name !== undefined) return name
  const flags = DbiFlags.toNumber(dbi.flags)
  if (flags === undefined) return `it has the unknown flags ${DbiFlags.display(dbi.flags)}: update this instance`
  if ((flags & DbiFlags.REVERSEKEY) !== 0) return "it has MDB_REVERSEKEY, which is not supported"
  if (formatVersion >= 3) return transformRefusal(dbi, flags, settings.dupsortHack)
  // Format 1 carries the flags of the shadow DBI and has no transform.
  if (dbi.transform !== "")
    return `it has the transform "${dbi.transform}", which format ${formatVersion} does not have`
  if (settings.exists || settings.overrideCreateFlags !== undefined) return undefined
  return (
    `format ${formatVersion} does not tell the flags that it has to be created with: ` +
    `set dbi_options."${DbiName.display(dbi.name)}".override_create_flags, or start the application first`
  )
}
