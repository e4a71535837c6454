/** Records the work of the lister and the receiver as facts for the status page, and as metrics. */
import { type Array as Arr, Clock, Effect } from "effect"
import { families } from "../../../domain/metrics/MetricFamilies.ts"
import type { MergeResult } from "../../../services/Database.ts"
import * as Metrics from "../../../services/Metrics.ts"
import type { StoredObject } from "../../../services/Storage.ts"
import type { Snapshot } from "../ListedSnapshots.ts"
import type { ReceiveStage } from "./SyncFacts.ts"
import type { SyncState } from "../SyncState.ts"

const lmdbOf = ({ options }: SyncState) => ({ lmdb: options.database })

/** The reasons for which a snapshot is quarantined. */
export type Reason = "corrupt" | "refused" | "stale"

/** Updates whether an instance has snapshots that wait to be merged, after a listing or a merge, and since when. */
const lookBehind = ({ facts, index }: SyncState, instance: string, now: number): void => {
  const known = facts.instance(instance)
  known.behindSince = index.isBehind(instance) ? (known.behindSince ?? now) : undefined
}

const lookAtInstance = Effect.fnUntraced(function* (state: SyncState, instance: string, now: number) {
  const known = state.facts.instance(instance)
  const newest = state.index.newest(instance)
  const isNew = newest !== undefined && newest.name.text !== known.newest?.name.text
  known.newest = newest
  lookBehind(state, instance, now)
  if (!isNew || instance === state.options.instance) return
  const age = now / 1e3 - Number(newest.name.timestampNano) / 1e9
  yield* Metrics.observe(families.lastReceivedAge, { ...lmdbOf(state), syncer_instance: instance }, age)
})

/** Records a listing. The index must already contain it. */
export const listed = Effect.fnUntraced(function* (state: SyncState, objects: ReadonlyArray<StoredObject>) {
  const { facts, index } = state
  const now = yield* Clock.currentTimeMillis
  facts.inStorage = { count: objects.length, bytes: objects.reduce((sum, { size }) => sum + size, 0) }
  const instances = new Set(index.instances)
  for (const instance of facts.instances.keys()) if (!instances.has(instance)) facts.instances.delete(instance)
  for (const instance of instances) yield* lookAtInstance(state, instance, now)
  const aside = new Set(index.quarantinedNames)
  for (const name of facts.quarantined.keys()) if (!aside.has(name)) facts.quarantined.delete(name)
})

export const listing = Metrics.add(families.listCalls, {}, 1)

export const listFailed = (state: SyncState) => Metrics.add(families.listFailed, lmdbOf(state), 1)

export const entering = (state: SyncState, instance: string, name: ReceiveStage["name"]) =>
  Effect.map(Clock.currentTimeMillis, (since) => void (state.facts.instance(instance).stage = { name, since }))

/** Records the receiving of one snapshot while `effect` runs. Afterwards, the instance is idle. */
export const receiving =
  (state: SyncState, instance: string) =>
  <A, E, R>(receive: Effect.Effect<A, E, R>) =>
    entering(state, instance, "waiting for a download").pipe(
      Effect.andThen(receive),
      Effect.ensuring(
        Effect.sync(() => {
          const known = state.facts.instances.get(instance)
          if (known !== undefined) known.stage = undefined
        })
      )
    )

export const downloading = (state: SyncState, instance: string) =>
  Effect.andThen(Metrics.add(families.loadCalls, {}, 1), entering(state, instance, "downloading"))

export const downloaded = (state: SyncState, instance: string, size: number) =>
  Effect.andThen(Metrics.add(families.loadBytes, {}, size), entering(state, instance, "waiting for a merge"))

export const loadFailed = (state: SyncState, instance: string) =>
  Effect.andThen(
    Metrics.add(families.loadFailed, { ...lmdbOf(state), syncer_instance: instance }, 1),
    entering(state, instance, "waiting to try again")
  )

const mergeEnded = (state: SyncState, { name }: Snapshot, result: "merged" | "failed" | "aborted") =>
  Metrics.add(families.merges, { ...lmdbOf(state), kind: name.kind, result }, 1)

/**
 * Records the merge of a row of snapshots while it runs. A failure of several is not counted, because each of them is
 * then merged by itself.
 */
export const merging =
  (state: SyncState, row: Arr.NonEmptyReadonlyArray<Snapshot>) =>
  <A, E, R>(merge: Effect.Effect<A, E, R>) => {
    const { instance } = row[0].name
    const failed = Effect.andThen(
      mergeEnded(state, row[0], "failed"),
      entering(state, instance, "waiting to try again")
    )
    return entering(state, instance, "merging").pipe(
      Effect.andThen(merge),
      Effect.tapError(() => (row.length > 1 ? Effect.void : failed)),
      Effect.onInterrupt(() => Effect.forEach(row, (snapshot) => mergeEnded(state, snapshot, "aborted")))
    )
  }

/** Records that a snapshot is merged. The index must already know it. */
export const merged = Effect.fnUntraced(function* (state: SyncState, snapshot: Snapshot, result: MergeResult) {
  const { entriesRead, entriesSkipped, entriesWritten, lockHeldMillis } = result
  const labels = lmdbOf(state)
  const { instance } = snapshot.name
  const now = yield* Clock.currentTimeMillis
  state.facts.instance(instance).merged = { snapshot, at: now, entriesWritten, lockHeldMillis }
  lookBehind(state, instance, now)
  yield* mergeEnded(state, snapshot, "merged")
  const entries = { scanned: entriesRead - entriesSkipped, skipped: entriesSkipped, written: entriesWritten }
  for (const [result, count] of Object.entries(entries)) {
    yield* Metrics.add(families.entries, { ...labels, operation: "merge", result }, count)
  }
  yield* Metrics.observe(families.writeLock, { ...labels, operation: "merge" }, lockHeldMillis / 1e3)
})

/** Records that a snapshot is quarantined. The index must already know it. */
export const quarantined = Effect.fnUntraced(function* (
  state: SyncState,
  snapshot: Snapshot,
  problem: string,
  reason: Reason
) {
  const now = yield* Clock.currentTimeMillis
  state.facts.quarantined.set(snapshot.name.text, { problem, at: now })
  lookBehind(state, snapshot.name.instance, now)
  yield* Metrics.add(families.quarantines, { ...lmdbOf(state), reason }, 1)
})
