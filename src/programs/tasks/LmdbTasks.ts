/** Does what a command asks of the thread that it gives LMDB to. */
import { Effect } from "effect"
import type { Lmdb } from "../../services/Lmdb.ts"
import type { LmdbTask, LmdbTaskResult, ReadReaders, TaskTarget } from "../../services/LmdbTask.ts"
import type { Compression } from "../../services/Compression.ts"
import * as DropShadow from "../DropShadow.ts"
import * as FixDuplicateDomains from "./FixDuplicateDomains.ts"
import * as LmdbInspection from "./LmdbInspection.ts"
import * as LmdbStats from "./LmdbStats.ts"
import * as MigrateTimestamps from "./MigrateTimestamps.ts"
import * as ReadBack from "./ReadBack.ts"
import type { OpenLmdb } from "./OpenLmdb.ts"

/** A task on one LMDB that prints what it gives. `failure`: what the log says when it fails. */
const inOne = <E, R>(target: TaskTarget, open: OpenLmdb, failure: string, task: Effect.Effect<string, E, Lmdb | R>) =>
  Effect.provide(task, open(target.lmdb), { local: true }).pipe(
    Effect.map((text): LmdbTaskResult => ({ code: 0, text })),
    Effect.catch((error) => Effect.as(Effect.logError(failure, error), { code: 1, text: "" })),
    Effect.annotateLogs({ db: target.database })
  )

/** `ReadReaders` asks for what LMDB shows nobody who has it open, so the thread's entry does that one. */
export const run = (
  task: Exclude<LmdbTask, ReadReaders>,
  open: OpenLmdb
): Effect.Effect<LmdbTaskResult, never, Compression> => {
  switch (task._tag) {
    case "DropShadow":
      return Effect.map(DropShadow.run(task.targets, open), (code) => ({ code, text: "" }))
    case "Stats":
      return LmdbStats.run(task, open)
    case "MigrateTimestamps":
      return inOne(task.target, open, "Cannot migrate timestamps", MigrateTimestamps.run(task))
    case "FixDuplicateDomains":
      return inOne(task.target, open, "Cannot fix duplicate domains", FixDuplicateDomains.run(task))
    case "ReadBack":
      return inOne(task.target, open, "The restored LMDB is not what was merged", ReadBack.run(task))
    case "Inspect":
      return LmdbInspection.run(task, open)
  }
}
