/**
 * Removes tombstones that are older than the retention, now and then, and says from when on tombstones of snapshots are
 * too old to be added. An error ends the sweep, not the daemon; the next one comes after the interval. Source:
 * docs/sync.md, Sweeper.
 */
import { Clock, Duration, Effect, Metric } from "effect"
import { Settings, type SettingsValues } from "../../services/Settings.ts"
import type { SyncState } from "./SyncState.ts"

/** Ours, by database: sweeps that ended with an error. */
export const failures = Metric.counter("lightningstream_sweeper_failed_total", { incremental: true })

const nanosPerDay = 86_400e9

export const retentionNanos = ({ sweeper }: SettingsValues): bigint =>
  BigInt(Math.round(sweeper.retention_days * nanosPerDay))

/**
 * A tombstone is not added a while before it would be swept, so that it does not come and go: 1 % of the retention, at
 * most 75 %.
 */
const cutOffAge = (settings: SettingsValues): bigint => {
  const retention = retentionNanos(settings)
  const configured = Duration.toNanosUnsafe(settings.sweeper.retention_load_cutoff_duration)
  const earlier = configured <= 0n ? retention / 100n : configured
  const most = (retention * 3n) / 4n
  return retention - (earlier > most ? most : earlier)
}

/** Tombstones older than this, in nanoseconds, are not added by a merge; undefined with the sweeper off. */
export const cutOff = Effect.gen(function* () {
  const settings = yield* Settings
  if (!settings.sweeper.enabled) return undefined
  const now = yield* Clock.currentTimeNanos
  const at = now - cutOffAge(settings)
  return at > 0n ? at : 0n
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
  yield* Effect.logInfo("Sweep for stale deleted entries completed", {
    total_entries: result.totalEntries,
    deleted_entries: result.deletedEntries,
    deleted_fraction: result.totalEntries === 0 ? 0 : result.deletedEntries / result.totalEntries,
    cleaned_entries: result.cleanedEntries,
    transactions: result.transactions,
    time_taken: Duration.nanos((yield* Clock.monotonicTimeNanos) - began)
  })
})

/** Never ends, and never fails. */
export const run = Effect.fn("Sweep.run")(
  function* (state: SyncState) {
    const { sweeper } = yield* Settings
    yield* Effect.sleep(sweeper.first_interval)
    for (;;) {
      yield* sweepOnce(state).pipe(
        Effect.catchTag("DatabaseError", (error) =>
          Effect.andThen(
            Metric.update(Metric.withAttributes(failures, { lmdb: state.options.database }), 1),
            Effect.logError("The sweep ended with an error, the next one comes after sweeper.interval", error)
          )
        )
      )
      yield* Effect.sleep(sweeper.interval)
    }
  },
  Effect.annotateLogs({ component: "sweeper" })
)
