/**
 * Removes tombstones that are older than the retention, once per interval. An error ends the sweep, not the daemon, and
 * the next sweep starts after the interval. Source: docs/sync.md, Sweeper.
 */
import { Clock, Duration, Effect } from "effect"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import type { SweepResult } from "../../services/Database.ts"
import * as Metrics from "../../services/Metrics.ts"
import { Settings } from "../../services/Settings.ts"
import { retentionNanos } from "./TombstoneRetention.ts"
import type { SyncState } from "./SyncState.ts"

const count = Effect.fnUntraced(function* (
  lmdb: string,
  { cleanedEntries, deletedEntries, longestLockMillis, totalEntries }: SweepResult,
  taken: Duration.Duration
) {
  yield* Metrics.add(families.sweeperCleaned, { lmdb }, cleanedEntries)
  yield* Metrics.add(families.entries, { lmdb, operation: "sweep", result: "scanned" }, totalEntries)
  yield* Metrics.add(families.entries, { lmdb, operation: "sweep", result: "written" }, cleanedEntries)
  yield* Metrics.observe(families.writeLock, { lmdb, operation: "sweep" }, longestLockMillis / 1e3)
  yield* Metrics.set(families.sweeperEntries, { lmdb }, totalEntries - cleanedEntries)
  yield* Metrics.set(families.sweeperDeleted, { lmdb }, deletedEntries - cleanedEntries)
  yield* Metrics.set(families.sweeperAvailable, { lmdb }, 1)
  yield* Metrics.observe(families.sweeperDuration, { lmdb }, Duration.toSeconds(taken))
})

const sweepOnce = Effect.fn("Sweep.once")(function* (state: SyncState) {
  const settings = yield* Settings
  const { lock_duration, release_duration } = settings.sweeper
  const began = yield* Clock.monotonicTimeNanos
  const olderThan = (yield* Clock.currentTimeNanos) - retentionNanos(settings)
  const result = yield* state.database.sweep({
    olderThanNano: olderThan > 0n ? olderThan : 0n,
    lockMillis: Duration.toMillis(lock_duration),
    releaseMillis: Duration.toMillis(release_duration)
  })
  const taken = Duration.nanos((yield* Clock.monotonicTimeNanos) - began)
  yield* count(state.options.database, result, taken)
  yield* Effect.logInfo("Sweep for stale deleted entries completed", {
    total_entries: result.totalEntries,
    deleted_entries: result.deletedEntries,
    deleted_fraction: result.totalEntries === 0 ? 0 : result.deletedEntries / result.totalEntries,
    cleaned_entries: result.cleanedEntries,
    transactions: result.transactions,
    time_taken: taken
  })
})

/** Runs forever and never fails. */
export const run = Effect.fn("Sweep.run")(
  function* (state: SyncState) {
    const { sweeper } = yield* Settings
    yield* Effect.sleep(sweeper.first_interval)
    for (;;) {
      yield* sweepOnce(state).pipe(
        Effect.catchTag("DatabaseError", (error) =>
          Effect.andThen(
            Metrics.add(families.sweeperFailed, { lmdb: state.options.database }, 1),
            Effect.logError("Sweep failed, the next one starts after sweeper.interval", error)
          )
        )
      )
      yield* Effect.sleep(sweeper.interval)
    }
  },
  Effect.annotateLogs({ component: "sweeper" })
)
