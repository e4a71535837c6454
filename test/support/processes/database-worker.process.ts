/**
 * Worker entry of the tests. It corresponds to src/worker.ts, with three databases that fail in ways that depend on
 * their names: "dying" ends its thread when it is read for the second time, "defective" has a bug there, and "endless"
 * never finishes, and records in shared memory whether it was interrupted.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import { workerData } from "node:worker_threads"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import * as DatabaseInline from "../../../src/layers/database/DatabaseInline.ts"
import * as DatabaseWorkerServer from "../../../src/layers/database/DatabaseWorkerServer.ts"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import * as SpoolFile from "../../../src/layers/spool/SpoolFile.ts"
import type { DatabaseOptions } from "../../../src/services/Database.ts"
import { hooked } from "../fakes/HookedLmdb.ts"

/** [0]: number of readers that have entered. [1]: number of readers that have left. */
const probe: Int32Array | undefined = workerData?.probe

const misbehaviours: Readonly<Record<string, Effect.Effect<unknown>>> = {
  dying: Effect.sync(() => process.exit(1)),
  defective: Effect.die(new Error("a bug")),
  endless: Effect.acquireUseRelease(
    Effect.sync(() => Atomics.add(probe!, 0, 1)),
    () => Effect.never,
    // This takes some time, as an abort does.
    () =>
      Effect.andThen(
        Effect.sleep(100),
        Effect.sync(() => Atomics.add(probe!, 1, 1))
      )
  )
}

const lmdbOf = (options: DatabaseOptions) => {
  const misbehaviour = misbehaviours[options.name]
  if (misbehaviour === undefined) return LmdbNative.layerWith(options.lmdb)
  let reads = 0
  return hooked(LmdbMemory.layerWith(), {
    beforeRead: Effect.suspend(() => (reads++ === 0 ? Effect.void : misbehaviour))
  })
}

NodeRuntime.runMain(
  DatabaseWorkerServer.serve({
    lmdb: lmdbOf,
    database: (options) =>
      DatabaseInline.layerWith(options).pipe(
        Layer.provide([
          Compressions.layer,
          SpoolFile.layerWith({ directory: "", memoryLimit: 0 }),
          GarbageCollectorV8.layer
        ])
      )
  }),
  { disableErrorReporting: true }
)
