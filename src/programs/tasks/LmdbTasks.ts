/** Does what a command asks of the thread that it gives LMDB to. */
import { Effect } from "effect"
import type { LmdbTask, LmdbTaskResult } from "../../services/LmdbTask.ts"
import * as DropShadow from "../DropShadow.ts"
import * as LmdbStats from "./LmdbStats.ts"
import type { OpenLmdb } from "./OpenLmdb.ts"

export const run = (task: LmdbTask, open: OpenLmdb): Effect.Effect<LmdbTaskResult> => {
  switch (task._tag) {
    case "DropShadow":
      return Effect.map(DropShadow.run(task.targets, open), (code) => ({ code, text: "" }))
    case "Stats":
      return LmdbStats.run(task, open)
  }
}
