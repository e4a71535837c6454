/**
 * Quarantines objects that were corrupt in two downloads, are refused, or are too old. They are not loaded again as
 * long as the bucket contains them unchanged. If our own newest snapshot is refused at the start, nothing is sent as
 * long as it is in the bucket, because a newer one would hide it, and it may be the only copy of what it contains.
 */
import { Effect } from "effect"
import { Health } from "../../../services/Health.ts"
import type { Snapshot } from "../ListedSnapshots.ts"
import * as ReceiveMeter from "../facts/ReceiveMeter.ts"
import * as Staleness from "../Staleness.ts"
import type { SyncState } from "../SyncState.ts"

/**
 * Reports that sending is blocked: a newer snapshot of ours would hide it from the others, and a cleaner would delete
 * it.
 */
const reportBlocked = Effect.fnUntraced(function* ({ options }: SyncState, { name }: Snapshot) {
  const health = yield* Health
  const message =
    `our own newest snapshot ${name.text} is refused, and may be the only copy of what it holds: nothing is sent while it is in the ` +
    "bucket. Change what the reason says, and start again; or keep a copy of it (snapshots get), and remove it"
  if (yield* health.failing(`${options.database}_own_refused`, message)) yield* Effect.logError(message)
})

/** Quarantines a snapshot, and reports it to log, health and metrics. */
export const quarantine = Effect.fnUntraced(function* (
  state: SyncState,
  snapshot: Snapshot,
  problem: string,
  reason: ReceiveMeter.Reason
) {
  const isOwn = snapshot.name.instance === state.options.instance && !state.index.ownIsMerged
  const blocksSending = isOwn && reason === "refused"
  state.index.quarantine(snapshot, { isTooOld: reason === "stale", blocksSending })
  state.problems++
  yield* ReceiveMeter.quarantined(state, snapshot, problem, reason)
  const health = yield* Health
  yield* health.failing(`${state.options.database}_snapshots_set_aside`, `${snapshot.name.text}: ${problem}`)
  yield* Effect.logError(
    "Snapshot quarantined: it is not loaded again while it is listed, the next-newest of its instance is used",
    {
      snapshot_name: snapshot.name.text,
      snapshot_instance: snapshot.name.instance,
      error: problem
    }
  )
  if (blocksSending && !state.options.receiveOnly) yield* reportBlocked(state, snapshot)
})

/**
 * Releases objects that were quarantined by their age while the clock was wrong, and ends the health checks when none
 * is left. Returns the names of the released objects.
 */
export const review = Effect.fnUntraced(function* (state: SyncState) {
  const names = state.index.release(yield* Staleness.isTooOld(state))
  for (const name of names) {
    yield* Effect.logInfo("Released a snapshot that was quarantined as too old: the clock has been corrected", {
      snapshot_name: name
    })
  }
  const health = yield* Health
  if (state.index.quarantinedNames.length === 0) yield* health.well(`${state.options.database}_snapshots_set_aside`)
  if (!state.index.isBlocked) yield* health.well(`${state.options.database}_own_refused`)
  return names
})
