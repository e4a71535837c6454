/**
 * Which objects of the bucket give the state of each instance: its newest full snapshot, and the deltas that lead on
 * from there. Merged in this order they give what the instance held at the time of the last one.
 */
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"

export interface InstanceState {
  /** As in object names. */
  readonly instance: string
  /** A full snapshot, then deltas, oldest first. */
  readonly objects: ReadonlyArray<Snapshot>
  /** Nanoseconds since the UNIX epoch: the time of the state. */
  readonly timestampNano: bigint
}

/** The delta that leads furthest from a time; of two that lead as far, the smaller one. */
const nextOf = (deltas: ReadonlyArray<Snapshot>, throughNano: bigint): Snapshot | undefined => {
  let best: Snapshot | undefined
  for (const delta of deltas) {
    const { fromNano, timestampNano } = delta.name
    if (fromNano === undefined || fromNano > throughNano || timestampNano <= throughNano) continue
    const isBetter =
      best === undefined ||
      timestampNano > best.name.timestampNano ||
      (timestampNano === best.name.timestampNano && delta.object.size < best.object.size)
    if (isBetter) best = delta
  }
  return best
}

/** Undefined for an instance that has no full snapshot: nothing leads to its deltas. */
const stateOf = (instance: string, listed: ReadonlyArray<Snapshot>): InstanceState | undefined => {
  const newest = SnapshotName.newest(listed.map(({ name }) => name).filter(({ kind }) => kind === "snapshot"))
  if (newest === undefined) return undefined
  const deltas = listed.filter(({ name }) => name.kind === "delta")
  const objects = listed.filter(({ name }) => name === newest)
  for (;;) {
    const { timestampNano } = objects.at(-1)!.name
    const next = nextOf(deltas, timestampNano)
    if (next === undefined) return { instance, objects, timestampNano }
    objects.push(next)
  }
}

/** Returns the newest state of each instance, by the instances' names. `objects`: a listing. */
export const newestStates = (database: string, objects: ReadonlyArray<StoredObject>): ReadonlyArray<InstanceState> => {
  const listed = objects.flatMap((object): ReadonlyArray<Snapshot> => {
    const name = SnapshotName.parse(object.name)
    return name?.database === database ? [{ name, object }] : []
  })
  return Array.from(
    Map.groupBy(listed, ({ name }) => name.instance),
    ([instance, ofInstance]) => stateOf(instance, ofInstance)
  )
    .filter((state) => state !== undefined)
    .toSorted((a, b) => (a.instance < b.instance ? -1 : 1))
}
