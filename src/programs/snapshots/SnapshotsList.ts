/** Lists all objects below the global prefix, of any database or program, one per line. Source: docs/cli.md. */
import { Effect, Stream } from "effect"
import * as NanoTimestamp from "../../domain/snapshot/NanoTimestamp.ts"
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import { Storage, type StoredObject } from "../../services/Storage.ts"

export interface SnapshotsListOptions {
  readonly prefix: string
  /** Whether to print sizes, and what deltas start from. */
  readonly long: boolean
  /** Whether to print JSON, one object per line. */
  readonly json: boolean
  /** Whether to sort by the time of the snapshots instead of by name. */
  readonly time: boolean
}

const linesAtOnce = 1_000

/** Sorts objects by the time of the snapshots, then by name. Objects that are not snapshots come first. */
const byTime = (objects: ReadonlyArray<StoredObject>): ReadonlyArray<StoredObject> => {
  const named = objects.map((object) => ({ object, name: SnapshotName.parse(object.name) }))
  const snapshots = named.flatMap(({ name, object }) => (name === undefined ? [] : [{ object, name }]))
  return [
    ...named.filter(({ name }) => name === undefined),
    ...snapshots.toSorted((one, other) => SnapshotName.compare(one.name, other.name))
  ].map(({ object }) => object)
}

/** Scripts read the line of a full snapshot, which has two columns in Lightning Stream. */
const longLine = ({ name, size }: StoredObject): string => {
  const fromNano = SnapshotName.parse(name)?.fromNano
  const base = fromNano === undefined ? "" : `\tdelta from ${NanoTimestamp.format(fromNano)}`
  return `${String(size).padStart(12)}\t${name}${base}\n`
}

/** Only `name` and `size` for an object that is not a snapshot. */
const jsonLine = ({ name, size }: StoredObject): string => {
  const parsed = SnapshotName.parse(name)
  if (parsed === undefined) return `${JSON.stringify({ name, size })}\n`
  const { database, fromNano, instance, kind, timestampNano } = parsed
  const base = fromNano === undefined ? {} : { fromNano: String(fromNano) }
  return `${JSON.stringify({ name, size, database, instance, kind, timestampNano: String(timestampNano), ...base })}\n`
}

const lineOf = ({ json, long }: SnapshotsListOptions): ((object: StoredObject) => string) =>
  json ? jsonLine : long ? longLine : ({ name }) => `${name}\n`

export const lines = (options: SnapshotsListOptions) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const storage = yield* Storage
      const objects = yield* storage.list(options.prefix)
      return Stream.fromIterable(options.time ? byTime(objects) : objects).pipe(
        Stream.map(lineOf(options)),
        Stream.grouped(linesAtOnce),
        Stream.map((group) => group.join(""))
      )
    })
  )
