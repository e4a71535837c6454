/** Runs the tasks of commands in a worker thread. */
import { Clock, Effect } from "effect"
import type { Lmdb } from "../../services/Lmdb.ts"
import type {
  ComparisonResult,
  LmdbTask,
  LmdbTaskResult,
  ReadReaders,
  TaskTarget,
  Unusable
} from "../../services/LmdbTask.ts"
import type { GarbageCollector } from "../../services/GarbageCollector.ts"
import type { Progress } from "../../services/Progress.ts"
import type { Spool } from "../../services/Spool.ts"
import type { Compression } from "../../services/Compression.ts"
import * as DryRun from "../dryrun/DryRun.ts"
import * as DryRunReport from "../dryrun/DryRunReport.ts"
import * as DropShadow from "../DropShadow.ts"
import * as FixDuplicateDomains from "./FixDuplicateDomains.ts"
import * as LmdbDump from "./LmdbDump.ts"
import * as LmdbInspection from "./LmdbInspection.ts"
import * as LmdbStats from "./LmdbStats.ts"
import * as MigrateTimestamps from "./MigrateTimestamps.ts"
import * as ReadBack from "./ReadBack.ts"
import { isUnusable } from "../verify/SpooledStates.ts"
import * as Verify from "../verify/Verify.ts"
import * as VerifyReport from "../verify/VerifyReport.ts"
import type { OpenLmdb } from "./OpenLmdb.ts"

/** Runs a task on one LMDB, whose text is printed. If it fails, `failure` is the log message. */
const inOne = <E, R>(target: TaskTarget, open: OpenLmdb, failure: string, task: Effect.Effect<string, E, Lmdb | R>) =>
  Effect.provide(task, open(target.lmdb), { local: true }).pipe(
    Effect.map((text): LmdbTaskResult => ({ code: 0, text })),
    Effect.catch((error) => Effect.as(Effect.logError(failure, error), { code: 1, text: "" })),
    Effect.annotateLogs({ db: target.database })
  )

/** Runs a comparison and formats its report as text. */
const compared = <A extends object, E, R>(
  database: string,
  failure: string,
  comparison: Effect.Effect<A | Unusable, E, R>,
  textOf: (report: A) => Effect.Effect<{ readonly isGood: boolean; readonly text: string }>
) =>
  comparison.pipe(
    Effect.flatMap((result): Effect.Effect<ComparisonResult> =>
      isUnusable(result) ? Effect.succeed(result) : Effect.map(textOf(result), (shown) => ({ _tag: "Text", ...shown }))
    ),
    Effect.map((result): LmdbTaskResult => ({ code: 0, text: JSON.stringify(result) })),
    Effect.catch((error) => Effect.as(Effect.logError(failure, error), { code: 1, text: "" })),
    Effect.annotateLogs({ db: database })
  )

/**
 * Runs a task. `ReadReaders` must not open the LMDB, so the entry of the thread handles that task. `print` writes to
 * standard output.
 */
export const run = (
  task: Exclude<LmdbTask, ReadReaders>,
  open: OpenLmdb,
  print: (text: string) => Effect.Effect<void>
): Effect.Effect<LmdbTaskResult, never, Compression | Spool | Progress | GarbageCollector> => {
  switch (task._tag) {
    case "DropShadow":
      return Effect.map(DropShadow.run(task.targets, open), (code) => ({ code, text: "" }))
    case "Stats":
      return LmdbStats.run(task, open)
    case "Dump":
      return inOne(task.target, open, "Cannot dump the database", LmdbDump.run(task, print))
    case "MigrateTimestamps":
      return inOne(task.target, open, "Cannot migrate timestamps", MigrateTimestamps.run(task))
    case "FixDuplicateDomains":
      return inOne(task.target, open, "Cannot fix duplicate domains", FixDuplicateDomains.run(task))
    case "ReadBack":
      return inOne(task.target, open, "The restored LMDB differs from what was merged", ReadBack.run(task))
    case "Inspect":
      return LmdbInspection.run(task, open)
    case "Verify":
      return compared(task.options.name, "Cannot verify the database", Verify.compare(task, open), (report) =>
        Effect.map(Clock.currentTimeNanos, (now) => ({
          isGood: VerifyReport.isGood(report),
          text: task.json ? VerifyReport.jsonLines(report) : VerifyReport.text(report, now)
        }))
      )
    case "DryRun":
      return compared(task.options.name, "Cannot look at the database", DryRun.report(task, open), (report) =>
        Effect.succeed({ isGood: DryRunReport.isGood(report), text: DryRunReport.text(report) })
      )
  }
}
