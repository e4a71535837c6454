/**
 * Long absence: an instance that was away for longer than tombstones are kept must not bring deleted entries back in
 * silence. Others may have swept the deletions of what it still has. Only with the sweeper on; `--accept-stale`
 * overrides. Source: docs/sync.md, Long absence.
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

/** What is older than this, in nanoseconds, is stale; undefined when nothing is. */
const limit = Effect.fnUntraced(function* ({ options }: SyncState) {
  const settings = yield* Settings
  if (!settings.sweeper.enabled || options.acceptStale) return undefined
  return (yield* Clock.currentTimeNanos) - retentionNanos(settings)
})

/** Tells of a time, in nanoseconds, whether snapshots of that time are too old by our clock as it is now. */
export const isTooOld = Effect.fnUntraced(function* (state: SyncState) {
  const at = yield* limit(state)
  return (timestampNano: bigint) => at !== undefined && timestampNano < at
})

/** Why a snapshot is too old to be merged; undefined when it is not. */
export const problemOf = Effect.fnUntraced(function* (state: SyncState, snapshot: Snapshot) {
  if (!(yield* isTooOld(state))(snapshot.name.timestampNano)) return undefined
  return (
    `it is older than sweeper.retention_days: entries in it may have been deleted by others, whose tombstones are gone. ` +
    "If its instance is gone for good, remove the object; to merge it all the same, start with --accept-stale"
  )
})

/** A full map or table of readers passes: until then nothing is merged, since after that only the mark would tell. */
const untilKnown = <A>(state: SyncState, use: Effect.Effect<A, DatabaseError>) =>
  Effect.gen(function* () {
    const { lmdb_poll_interval } = yield* Settings
    const outage = yield* Outage.make(`${state.options.database}_stale_mark`, "find out whether the LMDB is stale")
    return yield* Outage.untilItWorks(outage, lmdb_poll_interval, (error) => error.retryable, use)
  })

/**
 * Before the first merge: what the LMDB says by itself, and what an earlier run has said. A suspicion is marked in the
 * LMDB at once: after the first merge its newest entry is young, and only the mark tells the next run.
 */
export const observe = Effect.fn("Staleness.observe")(function* (state: SyncState) {
  const { database, options } = state
  if (options.acceptStale) return yield* untilKnown(state, database.markStale(undefined))
  const at = yield* limit(state)
  if (at === undefined) return
  state.newestAtOpen = yield* untilKnown(state, database.newest)
  // 1 ns: an application that is synced for the first time, in shadow mode. 0: there is no entry.
  const isOld = state.newestAtOpen > 1n && state.newestAtOpen < at
  state.staleBy = (yield* untilKnown(state, database.staleMark)) ?? (isOld ? state.newestAtOpen : undefined)
  if (state.staleBy !== undefined) yield* untilKnown(state, database.markStale(state.staleBy))
})

/** Nanoseconds: times that are further ahead of our clock show that it is behind, or that another one is ahead. */
const tolerated = 10_000_000_000n

/** Whether the bucket has, or the LMDB had at the start, times after ours: then our clock proves nothing. */
const mayBeBehind = Effect.fnUntraced(function* ({ index, newestAtOpen }: SyncState) {
  const now = (yield* Clock.currentTimeNanos) + tolerated
  return (
    newestAtOpen > now || index.instances.some((instance) => (index.newest(instance)?.name.timestampNano ?? 0n) > now)
  )
})

/**
 * Whether the LMDB is not stale by the clock as it is now, though it was found to be: the clock was ahead then. A clock
 * that is behind must not say so.
 */
const isRefuted = Effect.fnUntraced(function* (state: SyncState, at: bigint) {
  const { index, staleBy = 0n } = state
  return (index.newestOwn >= at || (staleBy > 1n && staleBy >= at)) && !(yield* mayBeBehind(state))
})

/**
 * After the first listing: the LMDB has data, no snapshot of ours in the bucket is younger than the retention, and
 * neither was its newest entry before the first merge. Then it merges, but refuses to send.
 */
export const check = Effect.fn("Staleness.check")(function* (state: SyncState) {
  const at = yield* limit(state)
  if (at === undefined || state.staleBy === undefined) return
  if (state.index.newestOwn >= at || (yield* isRefuted(state, at)))
    return yield* untilKnown(state, state.database.markStale(undefined))
  // It sends nothing anyway; the mark is for a later `sync`.
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

/** Looks at a stale LMDB again: the clock may be right by now. Returns whether it is not stale any more. */
export const lookAgain = Effect.fn("Staleness.lookAgain")(function* (state: SyncState) {
  const at = yield* limit(state)
  if (!state.stale || at === undefined || !(yield* isRefuted(state, at))) return false
  // An old snapshot of ours that was too old is to be merged first.
  if (state.index.next(state.options.instance) !== undefined) return false
  yield* untilKnown(state, state.database.markStale(undefined))
  state.stale = false
  state.staleBy = undefined
  const health = yield* Health
  yield* health.well(`${state.options.database}_stale`)
  yield* Effect.logInfo("The LMDB is not stale by the clock as it is now, and is sent")
  return true
})
