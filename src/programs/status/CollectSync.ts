/** Metrics of the databases that are read when they are shown, from the state of the loops and the memory budgets. */
import { Clock, Effect } from "effect"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import { type Budget, MemoryBudget } from "../../services/MemoryBudget.ts"
import { set } from "../../services/Metrics.ts"
import type { DaemonState, DatabaseState } from "../sync/facts/DaemonState.ts"
import type { InstanceFacts } from "../sync/facts/SyncFacts.ts"
import type { SyncState } from "../sync/SyncState.ts"

const budgets: ReadonlyArray<Budget> = ["download", "decompress"]

const secondsOf = (nanos: bigint): number => Number(nanos) / 1e9

const collectInstance = Effect.fnUntraced(function* (
  lmdb: string,
  instance: string,
  { behindSince, merged, newest }: InstanceFacts,
  isOwn: boolean
) {
  const now = yield* Clock.currentTimeMillis
  const labels = { lmdb, syncer_instance: instance }
  if (merged !== undefined) yield* set(families.lastMerged, labels, secondsOf(merged.snapshot.name.timestampNano))
  yield* set(families.behind, labels, behindSince === undefined ? 0 : (now - behindSince) / 1e3)
  if (newest === undefined || isOwn) return
  const seconds = secondsOf(newest.name.timestampNano)
  yield* set(families.lastReceived, labels, seconds)
  yield* set(families.ahead, labels, Math.max(0, seconds - now / 1e3))
})

const collectOpen = Effect.fnUntraced(function* ({ facts, index, options, stale }: SyncState) {
  const lmdb = options.database
  const now = yield* Clock.currentTimeMillis
  yield* set(families.stale, { lmdb }, stale ? 1 : 0)
  yield* set(families.unsent, { lmdb }, facts.unsentSince === undefined ? 0 : (now - facts.unsentSince) / 1e3)
  yield* set(families.quarantined, { lmdb }, index.quarantinedNames.length)
  if (facts.inStorage !== undefined) {
    yield* set(families.inStorageCount, { lmdb }, facts.inStorage.count)
    yield* set(families.inStorageBytes, { lmdb }, facts.inStorage.bytes)
  }
  for (const [instance, known] of facts.instances) {
    yield* collectInstance(lmdb, instance, known, instance === options.instance)
  }
})

const collectBudgets = Effect.fnUntraced(function* (lmdb: string) {
  const { use } = yield* MemoryBudget
  for (const budget of budgets) {
    const labels = { lmdb, limit_name: budget }
    const { active, bytes, limit, waiting } = yield* use(lmdb, budget)
    yield* set(families.limit, labels, limit)
    yield* set(families.limitActive, labels, active)
    yield* set(families.limitWaiting, labels, waiting)
    yield* set(families.budgetBytes, labels, bytes)
  }
})

const collectDatabase = Effect.fnUntraced(function* ({ isReady, name, sync }: DatabaseState) {
  yield* set(families.ready, { lmdb: name }, isReady ? 1 : 0)
  yield* collectBudgets(name)
  if (sync !== undefined) yield* collectOpen(sync)
})

export const collectSync = ({ databases }: DaemonState) => Effect.forEach(databases, collectDatabase, { discard: true })
