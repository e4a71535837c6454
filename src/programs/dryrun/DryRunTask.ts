/** Prepares the task of a dry run, which the worker thread runs, from the bucket and the configuration. */
import { Clock, Effect } from "effect"
import { instanceText } from "../../domain/snapshot/SnapshotName.ts"
import type { DryRun, Unusable } from "../../services/LmdbTask.ts"
import { Settings } from "../../services/Settings.ts"
import { databaseOptions } from "../DatabaseOptions.ts"
import * as Cleaner from "../sync/Cleaner.ts"
import * as TombstoneRetention from "../sync/TombstoneRetention.ts"
import * as SpooledStates from "../verify/SpooledStates.ts"

export interface DryRunOptions {
  readonly database: string
  readonly receiveOnly: boolean
  readonly acceptStale: boolean
}

/** Runs a dry run. `reportThere` runs the task, in whichever thread. */
export const run = Effect.fn("DryRunTask.run")(function* <A, E, R>(
  { acceptStale, database, receiveOnly }: DryRunOptions,
  reportThere: (task: DryRun) => Effect.Effect<A | Unusable, E, R>
) {
  const settings = yield* Settings
  const instance = instanceText(settings.instance)
  const cutOffNano = (yield* TombstoneRetention.cutOff) ?? 0n
  const cleaner = yield* Cleaner.rulesOf({ database, instance, receiveOnly })
  const oldest = (yield* Clock.currentTimeNanos) - TombstoneRetention.retentionNanos(settings)
  const { enabled } = settings.sweeper
  const task = {
    _tag: "DryRun",
    options: databaseOptions(settings, database),
    instance,
    receiveOnly,
    cutOffNano,
    ...(cleaner === undefined ? {} : { cleaner }),
    ...(enabled && !acceptStale ? { staleNano: oldest } : {}),
    ...(enabled ? { sweptNano: oldest > 0n ? oldest : 0n } : {})
  } as const
  return yield* SpooledStates.forComparison(database, (states) => reportThere({ ...task, ...states }))
})
