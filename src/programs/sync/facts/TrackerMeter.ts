/** Exposes the state of a database's `KeyTracker`, which runs in the worker, as metrics of the main thread. */
import { Effect } from "effect"
import { families } from "../../../domain/metrics/MetricFamilies.ts"
import type { Tracking } from "../../../services/Database.ts"
import * as Metrics from "../../../services/Metrics.ts"
import type { SyncState } from "../SyncState.ts"

export const observed = Effect.fnUntraced(function* (state: SyncState, tracking: typeof Tracking.Type) {
  const lmdb = state.options.database
  yield* Metrics.set(families.trackerPinAge, { lmdb }, tracking.pinMillis / 1_000)
  yield* Metrics.set(families.trackerPendingKeys, { lmdb }, tracking.pendingKeys)
  yield* Metrics.set(families.trackerPendingBytes, { lmdb }, tracking.pendingBytes)
  yield* Metrics.add(families.trackerGivenUp, { lmdb }, tracking.givenUp - state.trackerGivenUp)
  state.trackerGivenUp = tracking.givenUp
})
