/**
 * Names of the objects of a database: `<database>__<instance>__<timestamp>__<generation>[__<extra>…].<extension>`.
 *
 *     main__a__20240229-235959-025665456__GX.pb.gz                                  full snapshot
 *     main__a__20240229-235959-025665456__GX__D1.pb.gz                              full snapshot, reads deltas
 *     main__a__20240229-235959-025665456__GX__F20240229-235958-000000000.pbd.gz     delta
 *
 * `parse` returns undefined for every other name. Such an object is not a snapshot and is left alone. A listing by
 * `listingPrefix` may also contain snapshots of another database, so callers must compare `database`. Source:
 * docs/format.md.
 */
import * as NanoTimestamp from "./NanoTimestamp.ts"

/** Container of the message. */
export type ContainerFormat = "gzip" | "zstd"

/** A full snapshot, or a delta, which contains only what has changed since `fromNano`. Logs use the same words. */
export type ObjectKind = "snapshot" | "delta"

export interface SnapshotName {
  readonly database: string
  readonly instance: string
  /** The timestamp as text. */
  readonly timestampText: string
  /** The timestamp in nanoseconds since the UNIX epoch. Negative before 1970, more than 64 bits after 2554. */
  readonly timestampNano: bigint
  readonly generation: string
  /** The extra parts in the order of the name, unchecked. */
  readonly extras: ReadonlyArray<string>
  /** Everything after the first dot of the name. */
  readonly extension: string
  readonly format: ContainerFormat
  readonly kind: ObjectKind
  /**
   * Time of the state that a delta starts from, in nanoseconds since the UNIX epoch and always before `timestampNano`.
   * Undefined for a full snapshot.
   */
  readonly fromNano: bigint | undefined
  /** True if the name says that its instance reads deltas. An instance that writes deltas also reads them. */
  readonly readsDeltas: boolean
  /** The whole name. */
  readonly text: string
}

/** Extra part of a full snapshot whose instance reads deltas. */
const readsDeltasPart = "D1"

/** No writer uses them, and in a listing a name with a line break could pass for two. */
const controls = /\p{Cc}/u

/** First letter of the extra part with the time at which a delta starts. */
const fromLetter = "F"

const extensions: ReadonlyMap<string, { readonly format: ContainerFormat; readonly kind: ObjectKind }> = new Map([
  ["pb.gz", { format: "gzip", kind: "snapshot" }],
  ["pb.zst", { format: "zstd", kind: "snapshot" }],
  ["pbd.gz", { format: "gzip", kind: "delta" }],
  ["pbd.zst", { format: "zstd", kind: "delta" }]
])

/** Returns the extension of objects of a kind in a container format. */
const extensionOf = (format: ContainerFormat, kind: ObjectKind): string =>
  `${kind === "delta" ? "pbd" : "pb"}.${format === "gzip" ? "gz" : "zst"}`

/**
 * Returns the time that a delta starts from, or undefined unless exactly one extra part has such a time, and it is
 * before that of the delta.
 */
const fromOf = (extras: ReadonlyArray<string>, timestampNano: bigint): bigint | undefined => {
  const [part, ...others] = extras.filter((extra) => extra.startsWith(fromLetter))
  if (part === undefined || others.length > 0) return undefined
  const fromNano = NanoTimestamp.parse(part.slice(fromLetter.length))
  return fromNano !== undefined && fromNano < timestampNano ? fromNano : undefined
}

export const parse = (name: string): SnapshotName | undefined => {
  const dot = name.indexOf(".")
  if (dot < 0) return undefined
  const extension = name.slice(dot + 1)
  const known = extensions.get(extension)
  if (known === undefined || controls.test(name)) return undefined
  const [database, instance, timestampText, generation, ...extras] = name.slice(0, dot).split("__")
  if (database === undefined || instance === undefined || timestampText === undefined || generation === undefined)
    return undefined
  const timestampNano = NanoTimestamp.parse(timestampText)
  if (timestampNano === undefined) return undefined
  const fromNano = known.kind === "delta" ? fromOf(extras, timestampNano) : undefined
  if (known.kind === "delta" && fromNano === undefined) return undefined
  const readsDeltas = known.kind === "delta" || extras.includes(readsDeltasPart)
  return {
    ...known,
    database,
    instance,
    timestampText,
    timestampNano,
    generation,
    extras,
    extension,
    fromNano,
    readsDeltas,
    text: name
  }
}

/**
 * Formats a name. `instance` must come from `instanceText`. With `fromNano`, which must be before `timestampNano`, the
 * name is that of a delta.
 */
export const format = (parts: {
  readonly database: string
  readonly instance: string
  readonly timestampNano: bigint
  readonly format: ContainerFormat
  readonly fromNano?: bigint | undefined
  readonly readsDeltas?: boolean
}): string => {
  const { database, fromNano, instance, readsDeltas, timestampNano } = parts
  const names = [database, instance, NanoTimestamp.format(timestampNano), "GX"]
  if (fromNano !== undefined) names.push(`${fromLetter}${NanoTimestamp.format(fromNano)}`)
  else if (readsDeltas === true) names.push(readsDeltasPart)
  return `${names.join("__")}.${extensionOf(parts.format, fromNano === undefined ? "snapshot" : "delta")}`
}

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
