/** Detects changes of the application by LMDB's last transaction id. Source: docs/sync.md. */
import { Effect } from "effect"
import * as SendMeter from "./facts/SendMeter.ts"
import * as TrackerMeter from "./facts/TrackerMeter.ts"
import type { SyncState } from "./SyncState.ts"

/** Reads LMDB's last transaction id, and notifies the loops if it has changed. */
export const observe = Effect.fnUntraced(function* (state: SyncState) {
  const changes = yield* state.database.changes
  state.lastForeign = changes.lastForeign
  if (changes.tracking !== undefined) yield* TrackerMeter.observed(state, changes.tracking)
  // An LMDB without entries at the start is not sent, because it has nothing that could be lost.
  if (changes.emptyAtOpen && state.sentThrough < changes.atOpen) state.sentThrough = changes.atOpen
  yield* SendMeter.observed(state)
  if (changes.last !== state.lastTransactionId) {
    state.lastTransactionId = changes.last
    yield* state.notify
  }
  return changes
})
