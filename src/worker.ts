/** Entry of the worker threads. It composes the layers of the engine, as the commands do for the main thread. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer, Schema } from "effect"
import { parentPort, workerData } from "node:worker_threads"
import * as Compressions from "./layers/compression/Compressions.ts"
import * as DatabaseInline from "./layers/database/DatabaseInline.ts"
import * as DatabaseWorkerServer from "./layers/database/DatabaseWorkerServer.ts"
import * as LmdbTaskServer from "./layers/database/LmdbTaskServer.ts"
import * as GarbageCollectorV8 from "./layers/memory/GarbageCollectorV8.ts"
import * as LmdbNative from "./layers/lmdb/native/LmdbNative.ts"
import * as ReaderTable from "./layers/doctor/ReaderTable.ts"
import * as Logs from "./layers/logs/Logs.ts"
import * as SpoolFile from "./layers/spool/SpoolFile.ts"
import { WorkerData } from "./layers/database/WorkerData.ts"
import * as LmdbInspection from "./programs/tasks/LmdbInspection.ts"
import * as LmdbTasks from "./programs/tasks/LmdbTasks.ts"
import type { LmdbTask } from "./services/LmdbTask.ts"

// The worker only reads and writes places, which needs no options. The main thread opens them.
const spool = SpoolFile.layerWith({ directory: "", memoryLimit: 0 })

const serveDatabases = (instance: string) =>
  DatabaseWorkerServer.serve({
    lmdb: (options) => LmdbNative.layerWith(options.lmdb),
    database: (options) =>
      Layer.provide(DatabaseInline.layerWith(options), [Compressions.layer, spool, GarbageCollectorV8.layer])
  }).pipe(Effect.annotateLogs({ instance }))

const runTask = (task: LmdbTask) =>
  LmdbTaskServer.serve(parentPort!, (print) =>
    task._tag === "ReadReaders"
      ? LmdbInspection.asResult(ReaderTable.read(task.lmdb))
      : LmdbTasks.run(task, LmdbNative.layerWith, print)
  ).pipe(Effect.provide([Compressions.layer, spool, GarbageCollectorV8.layer]))

const runMain = <A, E>(program: Effect.Effect<A, E>, log: WorkerData["log"]) =>
  NodeRuntime.runMain(Effect.provide(program, Logs.layerWith(log)), { disableErrorReporting: true })

const run = (data: unknown) => {
  const { instance, log, task } = Schema.decodeUnknownSync(WorkerData)(data)
  if (task === undefined) runMain(serveDatabases(instance), log)
  else runMain(runTask(task), log)
}

// An `EarlyThread` receives its data as its first message. Without data it is not needed, and ends.
if (workerData === undefined) parentPort!.once("message", (data) => data !== undefined && run(data))
else run(workerData)
