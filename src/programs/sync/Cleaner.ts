/**
 * Deletes old snapshots from the bucket: at once, then every `interval`, more or less, so that several instances do not
 * do it at the same moment. What may be deleted, `CleanerPlan` says. An outage ends nothing: what could not be deleted
 * is tried again the next time. Source: docs/sync.md, Cleaner.
 */
import { Clock, Duration, Effect, Random } from "effect"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import { listingPrefix } from "../../domain/snapshot/SnapshotName.ts"
import * as Metrics from "../../services/Metrics.ts"
import { Settings } from "../../services/Settings.ts"
import { Storage, type StorageError } from "../../services/Storage.ts"
import { CleanerPlan, type Deletion } from "./CleanerPlan.ts"
import { learnInTurns } from "./ListedSnapshots.ts"
import type { DatabaseSyncOptions } from "./SyncState.ts"

/**
 * A store that is not well is left alone after so many deletes that it failed in one round: each may take until its
 * time-out.
 */
const mostUnavailable = 3

interface Cleaner {
  readonly plan: CleanerPlan
  /** Since the last round that went well; logged already. */
  failing: boolean
}

/** Undefined when nothing is to be cleaned: it is off, or nothing may be written to the bucket. */
export const planOf = Effect.fnUntraced(function* ({ database, instance, receiveOnly }: DatabaseSyncOptions) {
  const { cleanup } = (yield* Settings).storage
  if (!cleanup.enabled || receiveOnly) return undefined
  return new CleanerPlan({
    database,
    ownInstance: instance,
    mustKeep: Duration.toNanosUnsafe(cleanup.must_keep_interval),
    removeOldInstances: Duration.toNanosUnsafe(cleanup.remove_old_instances_interval)
  })
})

const logFailure = Effect.fnUntraced(function* (cleaner: Cleaner, error: StorageError) {
  if (cleaner.failing) return
  cleaner.failing = true
  yield* Effect.logWarning("Cannot clean old snapshots, trying again every storage.cleanup.interval until it works", {
    error: error.message
  })
})

/** What it failed with. */
const deleteOne = Effect.fnUntraced(function* (database: string, { name, reason }: Deletion) {
  const storage = yield* Storage
  yield* Metrics.add(families.cleanerDeletes, { lmdb: database, reason }, 1)
  const error = yield* storage.delete(name.text).pipe(
    Effect.as(undefined),
    Effect.catchTag("StorageError", (error) => Effect.as(Metrics.add(families.cleanerDeletesFailed, {}, 1), error))
  )
  if (error === undefined) {
    const log = reason === "stale instance" ? Effect.logInfo : Effect.logDebug
    yield* log("Deleted an old snapshot", { snapshot_name: name.text, snapshot_instance: name.instance, reason })
  }
  return error
})

/** One round, after a listing of its own. */
const round = Effect.fn("Clean.round")(function* (database: string, cleaner: Cleaner) {
  const storage = yield* Storage
  yield* Metrics.add(families.cleanerLists, {}, 1)
  const objects = yield* storage.list(listingPrefix(database)).pipe(
    Effect.tapError(() => Metrics.add(families.cleanerListsFailed, {}, 1)),
    Effect.tap((objects) => learnInTurns(cleaner.plan.names, objects))
  )
  const now = { monotonic: yield* Clock.monotonicTimeNanos, wall: yield* Clock.currentTimeNanos }
  const deletions = cleaner.plan.deletions(objects, now)
  let deleted = 0
  let unavailable = 0
  let failure: StorageError | undefined
  for (const deletion of deletions) {
    const error = yield* deleteOne(database, deletion)
    if (error === undefined) deleted++
    else failure ??= error
    if (error?.reason._tag === "Unavailable" && ++unavailable === mostUnavailable) break
  }
  if (deleted > 0) yield* Effect.logInfo("Deleted old snapshots", { deleted })
  if (failure !== undefined) return yield* failure
  cleaner.failing = false
})

/** Never ends, and never fails. */
export const run = Effect.fn("Clean.run")(
  function* (database: string, plan: CleanerPlan) {
    const interval = Duration.toMillis((yield* Settings).storage.cleanup.interval)
    const cleaner: Cleaner = { plan, failing: false }
    for (;;) {
      yield* round(database, cleaner).pipe(Effect.catchTag("StorageError", (error) => logFailure(cleaner, error)))
      yield* Effect.sleep(Duration.millis(interval * (0.8 + 0.4 * (yield* Random.next))))
    }
  },
  Effect.annotateLogs({ component: "cleaner" })
)
