/** Does what a command asks of the thread that it gives LMDB to. */
import { Effect } from "effect"
import type { Lmdb } from "../../services/Lmdb.ts"
import type { LmdbTask, LmdbTaskResult, TaskTarget } from "../../services/LmdbTask.ts"
import * as DropShadow from "../DropShadow.ts"
import * as FixDuplicateDomains from "./FixDuplicateDomains.ts"
import * as LmdbStats from "./LmdbStats.ts"
import * as MigrateTimestamps from "./MigrateTimestamps.ts"
import type { OpenLmdb } from "./OpenLmdb.ts"

/** A task on one LMDB that prints what it gives. `failure`: what the log says when it fails. */
const inOne = <E>(target: TaskTarget, open: OpenLmdb, failure: string, task: Effect.Effect<string, E, Lmdb>) =>
  Effect.provide(task, open(target.lmdb), { local: true }).pipe(
    Effect.map((text): LmdbTaskResult => ({ code: 0, text })),
    Effect.catch((error) => Effect.as(Effect.logError(failure, error), { code: 1, text: "" })),
    Effect.annotateLogs({ db: target.database })
  )

export const run = (task: LmdbTask, open: OpenLmdb): Effect.Effect<LmdbTaskResult> => {
  switch (task._tag) {
    case "DropShadow":
      return Effect.map(DropShadow.run(task.targets, open), (code) => ({ code, text: "" }))
    case "Stats":
      return LmdbStats.run(task, open)
    case "MigrateTimestamps":
      return inOne(task.target, open, "Cannot migrate timestamps", MigrateTimestamps.run(task))
    case "FixDuplicateDomains":
      return inOne(task.target, open, "Cannot fix duplicate domains", FixDuplicateDomains.run(task))
  }
}
