/** Entry of the worker threads: composes the engine's layers, as main.ts does for the main thread. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer, Schema } from "effect"
import { workerData } from "node:worker_threads"
import * as Compressions from "./layers/Compressions.ts"
import * as DatabaseInline from "./layers/DatabaseInline.ts"
import * as DatabaseWorkerServer from "./layers/DatabaseWorkerServer.ts"
import * as GarbageCollectorV8 from "./layers/GarbageCollectorV8.ts"
import * as LmdbNative from "./layers/LmdbNative.ts"
import * as Logs from "./layers/Logs.ts"
import * as SpoolFile from "./layers/SpoolFile.ts"
import { WorkerData } from "./layers/WorkerData.ts"

const { instance, log } = Schema.decodeUnknownSync(WorkerData)(workerData)

// Here only the two ends of a place are used, which need no options: places are opened by the main thread.
const spool = SpoolFile.layerWith({ directory: "", memoryLimit: 0 })

NodeRuntime.runMain(
  DatabaseWorkerServer.serve({
    lmdb: (options) => LmdbNative.layerWith(options.lmdb),
    database: (options) =>
      Layer.provide(DatabaseInline.layerWith(options), [Compressions.layer, spool, GarbageCollectorV8.layer])
  }).pipe(Effect.annotateLogs({ instance }), Effect.provide(Logs.layerWith(log))),
  { disableErrorReporting: true }
)
