/**
 * Deletes old snapshots from the bucket, once at the start and then about every `storage.cleanup.interval`. The
 * interval varies at random, so that instances do not clean at the same moment. `CleanerPlan` decides what may be
 * deleted. An outage does not end the cleaner, which tries again in the next round. Source: docs/sync.md, Cleaner.
 */
import { Clock, Duration, Effect, Random } from "effect"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import { listingPrefix } from "../../domain/snapshot/SnapshotName.ts"
import * as Metrics from "../../services/Metrics.ts"
import { Settings } from "../../services/Settings.ts"
import { Storage, type StorageError } from "../../services/Storage.ts"
import { CleanerPlan, type CleanerRules, type Deletion } from "./CleanerPlan.ts"
import { learnInTurns } from "./ListedSnapshots.ts"
import type { DatabaseSyncOptions } from "./SyncState.ts"

/** Number of failed deletes after which a round ends, because each of them may take until its timeout. */
const maxUnavailable = 3

interface Cleaner {
  readonly plan: CleanerPlan
  /** True if a failure was logged since the last successful round. */
  failing: boolean
}

/** Returns the rules, or undefined if the cleaner is off or nothing may be written to the bucket. */
export const rulesOf = Effect.fnUntraced(function* ({
  database,
  instance,
  receiveOnly
}: Pick<DatabaseSyncOptions, "database" | "instance" | "receiveOnly">) {
  const { cleanup } = (yield* Settings).storage
  if (!cleanup.enabled || receiveOnly) return undefined
  return {
    database,
    ownInstance: instance,
    mustKeep: Duration.toNanosUnsafe(cleanup.must_keep_interval),
    removeOldInstances: Duration.toNanosUnsafe(cleanup.remove_old_instances_interval)
  } satisfies CleanerRules
})

export const planOf = (options: Parameters<typeof rulesOf>[0]) =>
  Effect.map(rulesOf(options), (rules) => (rules === undefined ? undefined : new CleanerPlan(rules)))

const logFailure = Effect.fnUntraced(function* (cleaner: Cleaner, error: StorageError) {
  if (cleaner.failing) return
  cleaner.failing = true
  yield* Effect.logWarning("Cannot clean old snapshots, retrying every storage.cleanup.interval", {
    error: error.message
  })
})

/** Deletes one object. Returns the error, if any. */
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

/** Runs one round: lists the bucket and deletes what is not needed. */
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
    if (error?.reason._tag === "Unavailable" && ++unavailable === maxUnavailable) break
  }
  if (deleted > 0) yield* Effect.logInfo("Deleted old snapshots", { deleted })
  if (failure !== undefined) return yield* failure
  cleaner.failing = false
})

/** Runs forever and never fails. */
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
