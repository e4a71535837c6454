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

/** Returns the state of an instance, or an empty list without a full snapshot, because nothing leads to its deltas. */
const stateOf = (instance: string, listed: ReadonlyArray<Snapshot>): ReadonlyArray<InstanceState> => {
  const sorted = listed.toSorted((a, b) => SnapshotName.compare(a.name, b.name))
  const objects = pathOf(sorted, undefined).steps
  const last = objects.at(-1)
  return last === undefined ? [] : [{ instance, objects, timestampNano: last.name.timestampNano }]
}

/** Returns the newest state of each instance, by the instances' names. `objects`: a listing. */
export const newestStates = (database: string, objects: ReadonlyArray<StoredObject>): ReadonlyArray<InstanceState> => {
  const listed = objects.flatMap((object): ReadonlyArray<Snapshot> => {
    const name = SnapshotName.parse(object.name)
    return name?.database === database ? [{ name, object }] : []
  })
  return Array.from(Map.groupBy(listed, ({ name }) => name.instance))
    .flatMap(([instance, ofInstance]) => stateOf(instance, ofInstance))
    .toSorted((a, b) => (a.instance < b.instance ? -1 : 1))
}
