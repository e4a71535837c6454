/** What the main thread tells a worker thread when it starts it: plain data. */
import { Schema } from "effect"
import { LmdbOptions } from "../../services/Lmdb.ts"

export const WorkerData = Schema.Struct({
  log: Schema.Struct({
    format: Schema.Literals(["human", "logfmt", "json"]),
    level: Schema.Literals(["trace", "debug", "info", "warning", "error", "fatal", "panic"]),
    timestamp: Schema.Literals(["short", "disable", "full"])
  }),
  /** As it stands in object names: a field of each line. */
  instance: Schema.String,
  /** Of `drop-shadow`: the thread does that, and nothing else. */
  dropShadow: Schema.optional(Schema.Array(Schema.Struct({ database: Schema.String, lmdb: LmdbOptions })))
})
export type WorkerData = typeof WorkerData.Type
