/** What the main thread tells a worker thread when it starts it: plain data. */
import { Schema } from "effect"
import { LmdbTask } from "../../services/LmdbTask.ts"

export const WorkerData = Schema.Struct({
  log: Schema.Struct({
    format: Schema.Literals(["human", "logfmt", "json"]),
    level: Schema.Literals(["trace", "debug", "info", "warning", "error", "fatal", "panic"]),
    timestamp: Schema.Literals(["short", "disable", "full"])
  }),
  /** As it stands in object names: a field of each line. */
  instance: Schema.String,
  /** The thread does that, and nothing else. */
  task: Schema.optional(LmdbTask)
})
export type WorkerData = typeof WorkerData.Type
