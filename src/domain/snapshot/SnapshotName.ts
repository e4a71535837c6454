/**
 * Names of snapshot objects: `<database>__<instance>__<timestamp>__<generation>[__<extra>…].<extension>`.
 *
 * `parse` returns undefined for every other name: such an object is not ours and is left alone. A parsed name may still
 * belong to another database whose name begins alike: compare `database`. Source: docs/format.md.
 */
import * as NanoTimestamp from "./NanoTimestamp.ts"

export type SnapshotKind = "gzip" | "zstd"

/** What log fields call all of these, as Lightning Stream does: the kind of the object, not of its container. */
export const loggedKind = "snapshot"

export interface SnapshotName {
  readonly database: string
  readonly instance: string
  /** Timestamp as it is in the name. */
  readonly timestampText: string
  /** Nanoseconds since the UNIX epoch; negative before 1970, more than 64 bits after 2554. */
  readonly timestampNano: bigint
  readonly generation: string
  /** Extra parts in the order of the name, not checked. */
  readonly extras: ReadonlyArray<string>
  /** Everything after the first dot of the name. */
  readonly extension: string
  readonly kind: SnapshotKind
  /** The whole name. */
  readonly text: string
}

/** Returns the container format of an extension, or undefined if it is not a known one. */
export const kind = (extension: string): SnapshotKind | undefined =>
  extension === "pb.gz" ? "gzip" : extension === "pb.zst" ? "zstd" : undefined

/** Returns the extension of snapshots in a container format. */
export const extensionOf = (kind: SnapshotKind): string => (kind === "gzip" ? "pb.gz" : "pb.zst")

export const parse = (name: string): SnapshotName | undefined => {
  const dot = name.indexOf(".")
  if (dot < 0) return undefined
  const extension = name.slice(dot + 1)
  const known = kind(extension)
  if (known === undefined) return undefined
  const [database, instance, timestampText, generation, ...extras] = name.slice(0, dot).split("__")
  if (database === undefined || instance === undefined || timestampText === undefined || generation === undefined)
    return undefined
  const timestampNano = NanoTimestamp.parse(timestampText)
  if (timestampNano === undefined) return undefined
  return { database, instance, timestampText, timestampNano, generation, extras, extension, kind: known, text: name }
}

/** Formats a name. `instance` must come from `instanceText`. */
export const format = (parts: {
  readonly database: string
  readonly instance: string
  readonly timestampNano: bigint
  readonly generation?: "GX"
  readonly extension: string
}): string =>
  `${parts.database}__${parts.instance}__${NanoTimestamp.format(parts.timestampNano)}__${parts.generation ?? "GX"}.${parts.extension}`

/** Returns the prefix of all names of a database. Names of other databases may have it, too. */
export const listingPrefix = (database: string): string => `${database}__`

/** Returns an instance's name as it is in object names: each character outside of `[A-Za-z0-9-]` is replaced. */
export const instanceText = (configured: string): string => configured.replace(/[^A-Za-z0-9-]/gu, "-")

/** Orders names by time, oldest first, then by the whole name, so that all instances agree. */
export const compare = (a: SnapshotName, b: SnapshotName): number => {
  if (a.timestampText !== b.timestampText) return a.timestampText < b.timestampText ? -1 : 1
  return a.text === b.text ? 0 : a.text < b.text ? -1 : 1
}

/** Returns the newest name, or undefined if there is none. */
export const newest = (names: ReadonlyArray<SnapshotName>): SnapshotName | undefined =>
  names.reduce<SnapshotName | undefined>(
    (last, name) => (last === undefined || compare(last, name) < 0 ? name : last),
    undefined
  )
