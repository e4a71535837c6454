/**
 * Which objects of the bucket give the state that `restore` is asked for: a pure function of a listing. Merged one
 * after the other, in any order of the instances, they give what a new server would have at that time.
 */
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"
import { type InstanceState, newestStates } from "./StateObjects.ts"

export interface RestoreQuery {
  readonly database: string
  /** Name of one object. Undefined: the newest state of each instance. */
  readonly snapshot: string | undefined
  /** As in object names. Undefined: all. */
  readonly instance: string | undefined
  /** Nanoseconds since the UNIX epoch: the state at that time. Undefined: the newest. */
  readonly atNano: bigint | undefined
  /** Nanoseconds for which tombstones are kept. Undefined: forever. */
  readonly retentionNano: bigint | undefined
}

export interface RestorePlan {
  readonly states: ReadonlyArray<InstanceState>
  /**
   * States that are older than the newest one by more than the retention: others have swept the tombstones of what they
   * may still hold.
   */
  readonly stale: ReadonlyArray<InstanceState>
}

/** Those that can be part of the state. */
const isWanted =
  ({ atNano, database, instance, snapshot }: RestoreQuery, without: ReadonlySet<string>) =>
  (object: StoredObject): boolean => {
    const name = SnapshotName.parse(object.name)
    if (name === undefined || name.database !== database || without.has(object.name)) return false
    if (instance !== undefined && name.instance !== instance) return false
    if (atNano !== undefined && name.timestampNano > atNano) return false
    if (snapshot === undefined || object.name === snapshot) return true
    // A delta is nothing without those that lead to it.
    const last = SnapshotName.parse(snapshot)
    return last?.kind === "delta" && name.instance === last.instance && name.timestampNano < last.timestampNano
  }

/** `without`: names of objects that turned out to be corrupt or refused. */
export const planOf = (
  objects: ReadonlyArray<StoredObject>,
  query: RestoreQuery,
  without: ReadonlySet<string> = new Set()
): RestorePlan => {
  const { database, instance, retentionNano, snapshot } = query
  const states = newestStates(database, objects.filter(isWanted(query, without)))
  if (snapshot !== undefined) {
    // Of a delta to which nothing leads, what comes before it is not what was asked for.
    return { states: states.filter((state) => state.objects.at(-1)!.object.name === snapshot), stale: [] }
  }
  const newestNano = states.reduce((newest, { timestampNano }) => (timestampNano > newest ? timestampNano : newest), 0n)
  const isStale = ({ timestampNano }: InstanceState): boolean =>
    instance === undefined && retentionNano !== undefined && timestampNano < newestNano - retentionNano
  return { states: states.filter((state) => !isStale(state)), stale: states.filter(isStale) }
}
