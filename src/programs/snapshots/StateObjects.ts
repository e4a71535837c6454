/**
 * Selects the objects of the bucket that form the state of each instance: its newest full snapshot, and the deltas that
 * lead on from it. Merged in this order, they give the data of the instance at the time of the last one.
 */
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"
import { pathOf } from "../sync/SnapshotPath.ts"

export interface InstanceState {
  /** Name of the instance as in object names. */
  readonly instance: string
  /** A full snapshot, followed by deltas, oldest first. */
  readonly objects: ReadonlyArray<Snapshot>
  /** Time of the state in nanoseconds since the UNIX epoch. */
  readonly timestampNano: bigint
}

/** Returns the path of each instance, sorted by the names of the instances. */
const pathsOf = (database: string, objects: ReadonlyArray<StoredObject>) => {
  const listed = objects.flatMap((object): ReadonlyArray<Snapshot> => {
    const name = SnapshotName.parse(object.name)
    return name?.database === database ? [{ name, object }] : []
  })
  return Array.from(Map.groupBy(listed, ({ name }) => name.instance))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([instance, ofInstance]) => {
      const sorted = ofInstance.toSorted((a, b) => SnapshotName.compare(a.name, b.name))
      return { instance, path: pathOf(sorted, undefined) }
    })
}

/**
 * Returns the newest state of each instance, sorted by the names of the instances, from a listing. An instance without
 * a full snapshot has no state, because nothing leads to its deltas.
 */
export const newestStates = (database: string, objects: ReadonlyArray<StoredObject>): ReadonlyArray<InstanceState> =>
  pathsOf(database, objects).flatMap(({ instance, path }) => {
    const last = path.steps.at(-1)
    return last === undefined ? [] : [{ instance, objects: path.steps, timestampNano: last.name.timestampNano }]
  })

/**
 * Returns the deltas that are newer than the state of their instance and cannot be reached because an object before
 * them is missing, sorted by the names of the instances, oldest first.
 */
export const unreachable = (database: string, objects: ReadonlyArray<StoredObject>): ReadonlyArray<Snapshot> =>
  pathsOf(database, objects).flatMap(({ path }) => path.beyond)
