/**
 * Selects the objects of the bucket that form the state to restore, as a pure function of a listing. Merged one after
 * the other, in any order of the instances, they give the data that a new server would have had at that time.
 */
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"
import { type InstanceState, newestStates, unreachable } from "./StateObjects.ts"

export interface RestoreQuery {
  readonly database: string
  /** Name of one object, or undefined for the newest state of each instance. */
  readonly snapshot: string | undefined
  /** Name of an instance as in object names, or undefined for all. */
  readonly instance: string | undefined
  /** Time of the state in nanoseconds since the UNIX epoch, or undefined for the newest one. */
  readonly atNano: bigint | undefined
  /** Retention of tombstones in nanoseconds, or undefined if they are kept forever. */
  readonly retentionNano: bigint | undefined
}

export interface RestorePlan {
  readonly states: ReadonlyArray<InstanceState>
  /**
   * States that are older than the newest one by more than the retention. Others may have swept the tombstones of
   * entries that these states still contain.
   */
  readonly stale: ReadonlyArray<InstanceState>
  /**
   * Deltas that are newer than the states, but an object before them is missing. They are merged nevertheless, as in
   * the daemon: each of their entries is valid by itself.
   */
  readonly beyond: ReadonlyArray<Snapshot>
}

/** True if an object can be part of the state. */
const isWanted =
  ({ atNano, database, instance, snapshot }: RestoreQuery, without: ReadonlySet<string>) =>
  (object: StoredObject): boolean => {
    const name = SnapshotName.parse(object.name)
    if (name === undefined || name.database !== database || without.has(object.name)) return false
    if (instance !== undefined && name.instance !== instance) return false
    if (atNano !== undefined && name.timestampNano > atNano) return false
    if (snapshot === undefined || object.name === snapshot) return true
    // A delta is useless without the objects that lead to it.
    const last = SnapshotName.parse(snapshot)
    return last?.kind === "delta" && name.instance === last.instance && name.timestampNano < last.timestampNano
  }

/** Returns the plan. `without` contains the names of objects that turned out to be corrupt or refused. */
export const planOf = (
  objects: ReadonlyArray<StoredObject>,
  query: RestoreQuery,
  without: ReadonlySet<string> = new Set()
): RestorePlan => {
  const { database, instance, retentionNano, snapshot } = query
  const wanted = objects.filter(isWanted(query, without))
  const states = newestStates(database, wanted)
  if (snapshot !== undefined) {
    // If nothing leads to a delta that was given by name, an earlier state is not what was requested.
    return { states: states.filter((state) => state.objects.at(-1)!.object.name === snapshot), stale: [], beyond: [] }
  }
  const newestNano = states.reduce((newest, { timestampNano }) => (timestampNano > newest ? timestampNano : newest), 0n)
  const isStale = ({ timestampNano }: { readonly timestampNano: bigint }): boolean =>
    instance === undefined && retentionNano !== undefined && timestampNano < newestNano - retentionNano
  const beyond = unreachable(database, wanted).filter(({ name }) => !isStale(name))
  return { states: states.filter((state) => !isStale(state)), stale: states.filter(isStale), beyond }
}
