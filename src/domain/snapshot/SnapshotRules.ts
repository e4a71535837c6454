/**
 * What a valid snapshot must be like to be merged: versions, and per DBI its name, flags and transform. Each check
 * gives the reason of the refusal, with what to do about it, or undefined. Source: docs/format.md.
 *
 * The reader knows these values for certain only at the end of the snapshot, or of the DBI. Key layouts are in
 * KeyLayout.
 */
import { Schema } from "effect"
import * as DbiFlags from "../lmdb/DbiFlags.ts"
import * as DbiName from "../lmdb/DbiName.ts"
import * as ShadowName from "../lmdb/ShadowName.ts"
import { maxKeyBytes } from "../lmdb/Limits.ts"

/** Valid, but this version, mode or configuration must not merge it: nothing changes until somebody acts. */
export class SnapshotRefused extends Schema.TaggedError<SnapshotRefused>()("SnapshotRefused", {
  /** Why, for people. */
  problem: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}

/** What a DBI message says of itself. */
export interface DbiHead {
  readonly name: DbiName.DbiName
  readonly flags: bigint
  readonly transform: string
}

/** The newest `compatVersion` that is understood. */
export const newestCompatVersion = 3

export const dupsortTransform = "dupsort_hack_v1"

/** Of the snapshot as a whole, also one without DBIs. */
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

/** In native mode, which knows plain DBIs only. The tool's own DBIs are never merged, so there is nothing to refuse. */
export const nativeDbiRefusal = (dbi: DbiHead): string | undefined => {
  if (DbiName.isPrivate(dbi.name)) return undefined
  const name = nameRefusal(dbi.name)
  if (name !== undefined) return name
  if (dbi.transform !== "") return `it has the transform "${dbi.transform}", which native mode does not support`
  return dbi.flags === 0n
    ? undefined
    : `it has the flags ${DbiFlags.display(dbi.flags)}, which native mode does not support`
}

/** What shadow mode knows about a DBI besides the snapshot. */
export interface ShadowSettings {
  /** The DBI is there: its flags need not be told by the snapshot. */
  readonly exists: boolean
  /** `override_create_flags` of the DBI. */
  readonly overrideCreateFlags: number | undefined
  /** `dupsort_hack` of the database. */
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

/** In shadow mode. The tool's own DBIs are never merged, so there is nothing to refuse. */
export const shadowDbiRefusal = (dbi: DbiHead, formatVersion: number, settings: ShadowSettings): string | undefined => {
  if (DbiName.isPrivate(dbi.name)) return undefined
  const name = nameRefusal(dbi.name) ?? ShadowName.problemOf(dbi.name)
  if (name !== undefined) return name
  const flags = DbiFlags.toNumber(dbi.flags)
  if (flags === undefined) return `it has the unknown flags ${DbiFlags.display(dbi.flags)}: update this instance`
  if ((flags & DbiFlags.REVERSEKEY) !== 0) return "it has MDB_REVERSEKEY, which is not supported"
  if (formatVersion >= 3) return transformRefusal(dbi, flags, settings.dupsortHack)
  // Flags are those of the shadow DBI there, and a transform does not exist yet.
  if (dbi.transform !== "")
    return `it has the transform "${dbi.transform}", which format ${formatVersion} does not have`
  if (settings.exists || settings.overrideCreateFlags !== undefined) return undefined
  return (
    `format ${formatVersion} does not tell the flags that it has to be created with: ` +
    `set dbi_options."${DbiName.display(dbi.name)}".override_create_flags, or start the application first`
  )
}
