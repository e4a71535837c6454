/**
 * Detects a long absence. An instance that was away for longer than tombstones are kept must not silently restore
 * deleted entries: other instances may have swept the tombstones of entries that it still has. This applies only if the
 * sweeper is on, and `--accept-stale` overrides it. Source: docs/sync.md, Long absence.
 */
import { Clock, Effect } from "effect"
import * as NanoTimestamp from "../../domain/snapshot/NanoTimestamp.ts"
import type { DatabaseError } from "../../services/Database.ts"
import { Health } from "../../services/Health.ts"
import { Settings } from "../../services/Settings.ts"
import type { Snapshot } from "./ListedSnapshots.ts"
import * as Outage from "./Outage.ts"
import { retentionNanos } from "./TombstoneRetention.ts"
import type { SyncState } from "./SyncState.ts"

/** Returns the time before which data are stale, in nanoseconds since the UNIX epoch, or undefined if none are. */
const limit = Effect.fnUntraced(function* ({ options }: SyncState) {
  const settings = yield* Settings
  if (!settings.sweeper.enabled || options.acceptStale) return undefined
  return (yield* Clock.currentTimeNanos) - retentionNanos(settings)
})

/** Returns a function that decides whether snapshots of a time, in nanoseconds, are too old by the current clock. */
export const isTooOld = Effect.fnUntraced(function* (state: SyncState) {
  const at = yield* limit(state)
  return (timestampNano: bigint) => at !== undefined && timestampNano < at
})

/** Returns why a snapshot is too old to be merged, or undefined if it is not. */
export const problemOf = Effect.fnUntraced(function* (state: SyncState, snapshot: Snapshot) {
  if (!(yield* isTooOld(state))(snapshot.name.timestampNano)) return undefined
  return (
    `it is older than sweeper.retention_days: entries in it may have been deleted by others, whose tombstones are gone. ` +
    "If its instance is gone for good, remove the object; to merge it all the same, start with --accept-stale"
  )
})

/**
 * Runs `use`, and retries while the map or the reader table is full. Nothing is merged before it succeeds, because
 * after a merge only the mark shows that the LMDB was stale.
 */
const untilKnown = <A>(state: SyncState, use: Effect.Effect<A, DatabaseError>) =>
  Effect.gen(function* () {
    const { lmdb_poll_interval } = yield* Settings
    const outage = yield* Outage.make(`${state.options.database}_stale_mark`, "find out whether the LMDB is stale")
    return yield* Outage.untilItWorks(outage, lmdb_poll_interval, (error) => error.retryable, use)
  })

/**
 * Examines the LMDB before the first merge: the times of its entries, and the mark of an earlier run. If it may be
 * stale, it is marked at once, because after the first merge its newest entry is recent, and only the mark tells the
 * next run.
 */
export const observe = Effect.fn("Staleness.observe")(function* (state: SyncState) {
  const { database, options } = state
  if (options.acceptStale) return yield* untilKnown(state, database.markStale(undefined))
  const at = yield* limit(state)
  if (at === undefined) return
  state.newestAtOpen = yield* untilKnown(state, database.newest)
  // In shadow mode, 1 ns stands for an application that is synced for the first time. 0 means that there is no entry.
  const isOld = state.newestAtOpen > 1n && state.newestAtOpen < at
  state.staleBy = (yield* untilKnown(state, database.staleMark)) ?? (isOld ? state.newestAtOpen : undefined)
  if (state.staleBy !== undefined) yield* untilKnown(state, database.markStale(state.staleBy))
})

/**
 * Nanoseconds. A time that is further ahead of our clock shows that our clock is behind, or that another clock is
 * ahead.
 */
const tolerated = 10_000_000_000n

/** True if the bucket has, or the LMDB had at the start, times ahead of our clock, which then proves nothing. */
const mayBeBehind = Effect.fnUntraced(function* ({ index, newestAtOpen }: SyncState) {
  const now = (yield* Clock.currentTimeNanos) + tolerated
  return (
    newestAtOpen > now || index.instances.some((instance) => (index.newest(instance)?.name.timestampNano ?? 0n) > now)
  )
})

/**
 * True if an LMDB that was found stale is not stale by the current clock, because the clock was ahead at that time. A
 * clock that may be behind cannot show this.
 */
const isRefuted = Effect.fnUntraced(function* (state: SyncState, at: bigint) {
  const { index, staleBy = 0n } = state
  return (index.newestOwn >= at || (staleBy > 1n && staleBy >= at)) && !(yield* mayBeBehind(state))
})

/**
 * Decides after the first listing whether the LMDB is stale. It is stale if it has data, and neither a snapshot of ours
 * in the bucket nor the newest entry before the first merge is younger than the retention. The daemon then merges, but
 * does not send.
 */
export const check = Effect.fn("Staleness.check")(function* (state: SyncState) {
  const at = yield* limit(state)
  if (at === undefined || state.staleBy === undefined) return
  if (state.index.newestOwn >= at || (yield* isRefuted(state, at)))
    return yield* untilKnown(state, state.database.markStale(undefined))
  // `receive` sends nothing anyway; the mark is for a later `sync`.
  if (state.options.receiveOnly) return
  state.stale = true
  const since =
    state.newestAtOpen < at
      ? `its newest entry is of ${NanoTimestamp.format(state.newestAtOpen)}, older than sweeper.retention_days`
      : "an earlier start found its newest entry older than sweeper.retention_days, and marked it (DBI _sync_stale)"
  const message =
    `the LMDB is stale: ${since}. ` +
    "Sending it could bring entries back that others have deleted, so nothing is sent. Move the LMDB aside and start without it, " +
    "to load from the others, or start with --accept-stale"
  const health = yield* Health
  yield* health.failing(`${state.options.database}_stale`, message)
  yield* Effect.logError(message)
})

/** Examines a stale LMDB again, because the clock may have been corrected. Returns true if it is no longer stale. */
export const lookAgain = Effect.fn("Staleness.lookAgain")(function* (state: SyncState) {
  const at = yield* limit(state)
  if (!state.stale || at === undefined || !(yield* isRefuted(state, at))) return false
  // An old snapshot of ours that was quarantined as too old must be merged first.
  if (state.index.next(state.options.instance) !== undefined) return false
  yield* untilKnown(state, state.database.markStale(undefined))
  state.stale = false
  state.staleBy = undefined
  const health = yield* Health
  yield* health.well(`${state.options.database}_stale`)
  yield* Effect.logInfo("The LMDB is no longer stale by the current clock, and is sent")
  return true
})
