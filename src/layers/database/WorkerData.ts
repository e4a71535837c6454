/** The plain data that the main thread gives to a worker thread when it starts the thread. */
import { Schema } from "effect"
import { LmdbTask } from "../../services/LmdbTask.ts"

export const WorkerData = Schema.Struct({
  log: Schema.Struct({
    format: Schema.Literals(["human", "logfmt", "json"]),
    level: Schema.Literals(["trace", "debug", "info", "warning", "error", "fatal", "panic"]),
    timestamp: Schema.Literals(["short", "disable", "full"])
  }),
  /** The instance name as it is in object names. It becomes a field of each log line. */
  instance: Schema.String,
  /** The only task of the thread. Undefined for a thread that serves databases. */
  task: Schema.optional(LmdbTask)
})
export type WorkerData = typeof WorkerData.Type
