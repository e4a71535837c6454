/** Lists all objects below the global prefix, of any database or program, one per line. Source: docs/cli.md. */
import { Effect, Stream } from "effect"
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import { Storage, type StoredObject } from "../../services/Storage.ts"

export interface SnapshotsListOptions {
  readonly prefix: string
  /** Whether to print sizes. */
  readonly long: boolean
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

export const lines = (options: SnapshotsListOptions) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const storage = yield* Storage
      const objects = yield* storage.list(options.prefix)
      const line = ({ name, size }: StoredObject) =>
        options.long ? `${String(size).padStart(12)}\t${name}\n` : `${name}\n`
      return Stream.fromIterable(options.time ? byTime(objects) : objects).pipe(
        Stream.map(line),
        Stream.grouped(linesAtOnce),
        Stream.map((group) => group.join(""))
      )
    })
  )
