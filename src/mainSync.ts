/** Composes the layers of `sync` and `receive`, and runs the daemon. Loaded when one of these commands is given. */
import * as os from "node:os"
import { NodeServices } from "@effect/platform-node"
import { Cause, Effect, Exit, Layer } from "effect"
import type { Command } from "./domain/CommandLine.ts"
import { withoutEffectYet } from "./domain/settings/UnsupportedSettings.ts"
import { instanceText } from "./domain/snapshot/SnapshotName.ts"
import * as DatabasesWorker from "./layers/database/DatabasesWorker.ts"
import * as GarbageCollectorV8 from "./layers/memory/GarbageCollectorV8.ts"
import * as HealthRegistry from "./layers/health/HealthRegistry.ts"
import * as BuildCheck from "./layers/lmdb/native/BuildCheck.ts"
import * as MemoryBudgetPermits from "./layers/memory/MemoryBudgetPermits.ts"
import * as Signals from "./layers/process/Signals.ts"
import * as SpoolDirectory from "./layers/spool/SpoolDirectory.ts"
import * as SpoolFile from "./layers/spool/SpoolFile.ts"
import * as StorageConfigured from "./layers/storage/StorageConfigured.ts"
import type { Loaded } from "./layers/settings/SettingsYaml.ts"
import type { WorkerData } from "./layers/database/WorkerData.ts"
import * as WorkerPool from "./layers/database/WorkerPool.ts"
import { withSettings } from "./mainCommand.ts"
import { type DaemonOptions, run } from "./programs/Daemon.ts"
import { DatabaseError } from "./services/Database.ts"
import { InvalidSettings, Settings } from "./services/Settings.ts"

// Beside this file in both forms: run from source by Node's type stripping, and bundled as the second entry, which is
// JavaScript.
const entry = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url)

const layerOf = ({ settings }: Loaded, receiveOnly: boolean) =>
  Layer.mergeAll(
    receiveOnly ? StorageConfigured.readOnly : StorageConfigured.layer,
    MemoryBudgetPermits.layerWith({
      download: settings.memory_downloaded_snapshots,
      decompress: settings.memory_decompressed_snapshots
    }).pipe(Layer.provide(GarbageCollectorV8.layerInSteps)),
    SpoolFile.layerWith({ directory: settings.spool_directory, memoryLimit: settings.spool_memory }),
    HealthRegistry.layer,
    DatabasesWorker.layer.pipe(
      Layer.provide(
        WorkerPool.layerWith({
          entry,
          size: settings.database_workers,
          worker: { workerData: { log: settings.log, instance: instanceText(settings.instance) } satisfies WorkerData }
        })
      )
    )
  ).pipe(Layer.provideMerge(Layer.succeed(Settings, settings)), Layer.provide(NodeServices.layer))

/** What the configuration asks for and cannot have. */
const check = Effect.fnUntraced(function* (loaded: Loaded, file: string, onlyDb: ReadonlyArray<string>) {
  const { lmdbs, spool_directory } = loaded.settings
  const spool = yield* SpoolDirectory.problemOf(spool_directory)
  const problems = [
    ...(spool === undefined ? [] : [`spool_directory: ${spool}`]),
    ...onlyDb
      .filter((name) => !Object.hasOwn(lmdbs, name))
      .map((name) => `--only-db ${name}: no such database in lmdbs: there are ${Object.keys(lmdbs).join(", ")}`)
  ]
  if (problems.length > 0) return yield* new InvalidSettings({ file, problems })
  for (const warning of [...loaded.warnings, ...withoutEffectYet(loaded.explicit)]) yield* Effect.logWarning(warning)
  yield* BuildCheck.check
})

/** What serves pages is loaded only where there is an address, and none is used with `--only-once`. */
const serving = ({ settings: { http, only_once } }: Loaded) =>
  http.address === "" || only_once
    ? Effect.undefined
    : Effect.flatMap(
        Effect.promise(() => import("./commands/StatusServer.ts")),
        ({ serveOn }) => serveOn(http.address)
      )

const isWorkerLost = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some(
    (reason) =>
      Cause.isFailReason(reason) && reason.error instanceof DatabaseError && reason.error.reason._tag === "WorkerLost"
  )

const daemon = Effect.fnUntraced(function* (
  loaded: Loaded,
  file: string,
  options: Omit<DaemonOptions, "hostname" | "serve">
) {
  yield* check(loaded, file, options.onlyDb)
  const signals = yield* Signals.make
  const failed = Effect.fnUntraced(function* (exit: Exit.Exit<unknown, unknown>) {
    // A thread that died leaves its environments open in the process: nothing can be done with them any more.
    if (isWorkerLost(exit)) return yield* signals.killNow("a worker thread is lost")
    yield* signals.arm
  })
  return yield* Effect.flatMap(serving(loaded), (serve) =>
    run({ ...options, hostname: os.hostname(), serve }, signals.first, failed)
  ).pipe(Effect.provide(layerOf(loaded, options.receiveOnly)))
}, Effect.scoped)

/** The exit code. */
export const sync = ({
  _tag,
  global,
  options
}: Extract<Command, { readonly _tag: "Sync" | "Receive" }>): Effect.Effect<number> =>
  withSettings({ global, sync: options }, (loaded) =>
    daemon(loaded, global.config, {
      receiveOnly: _tag === "Receive",
      onlyOnce: loaded.settings.only_once,
      onlyDb: options.onlyDatabases,
      markerFile: options.waitForMarkerFile,
      acceptStale: options.acceptStale
    })
  )
