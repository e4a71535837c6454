/**
 * Reports instances whose deltas cannot be followed because an object before them has been missing for too long. Each
 * gap is reported once, and the health check fails until a full snapshot has closed it.
 */
import { Effect } from "effect"
import { families } from "../../../domain/metrics/MetricFamilies.ts"
import * as NanoTimestamp from "../../../domain/snapshot/NanoTimestamp.ts"
import { Health } from "../../../services/Health.ts"
import * as Metrics from "../../../services/Metrics.ts"
import type { SyncState } from "../SyncState.ts"

/** Reports gaps after a listing. `reported` contains the instances whose gap was reported, and is updated. */
export const report = Effect.fnUntraced(function* (state: SyncState, reported: Set<string>) {
  const { index, options } = state
  const health = yield* Health
  for (const instance of new Set([...reported, ...index.instances])) {
    const beyond = index.beyondGap(instance)
    if (beyond === undefined) reported.delete(instance)
    if (beyond === undefined || reported.has(instance)) continue
    reported.add(instance)
    state.problems++
    const through = index.mergedThrough(instance)
    yield* Metrics.add(families.deltaGaps, { lmdb: options.database, syncer_instance: instance }, 1)
    yield* health.failing(
      `${options.database}_deltas_missing`,
      `an object of the instance ${instance} before ${beyond.name.text} is missing`
    )
    yield* Effect.logWarning(
      "An object before a delta is missing: deltas are merged as they are, and the next full snapshot of the instance",
      {
        snapshot_instance: instance,
        snapshot_name: beyond.name.text,
        merged_through: through === undefined ? "nothing" : NanoTimestamp.format(through)
      }
    )
  }
  if (reported.size === 0) yield* health.well(`${options.database}_deltas_missing`)
})
