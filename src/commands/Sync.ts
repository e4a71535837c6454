/** `sync` composes the layers of the daemon and runs it. `receive` does the same, but never writes to the bucket. */
import * as os from "node:os"
import { Effect, type Exit, Layer } from "effect"
import * as Flag from "effect/cli/Flag"
import type { Loaded as Configuration } from "../layers/settings/SettingsYaml.ts"
import type { EarlyThread } from "../layers/database/EarlyThread.ts"
import type { WorkerData } from "../layers/database/WorkerData.ts"
import { defineCommand } from "./cli/CommandDefinition.ts"
import type { GlobalOptions } from "./cli/GlobalFlags.ts"
import { about, type Given, optional, text, toggle } from "./cli/Flags.ts"
import { load, type Modules } from "./cli/Load.ts"
import { workerEntry } from "./WorkerEntry.ts"

const parts = () => ({
  Command: import("./cli/ConfiguredCommand.ts"),
  Daemon: import("../programs/Daemon.ts"),
  Database: import("../services/Database.ts"),
  DatabasesWorker: import("../layers/database/DatabasesWorker.ts"),
  GarbageCollectorV8: import("../layers/memory/GarbageCollectorV8.ts"),
  HealthRegistry: import("../layers/health/HealthRegistry.ts"),
  MemoryBudgetPermits: import("../layers/memory/MemoryBudgetPermits.ts"),
  NodeServices: import("@effect/platform-node/NodeServices"),
  ProgressTerminal: import("../layers/process/ProgressTerminal.ts"),
  Settings: import("../services/Settings.ts"),
  Signals: import("../layers/process/Signals.ts"),
  SnapshotName: import("../domain/snapshot/SnapshotName.ts"),
  SpoolDirectory: import("../layers/spool/SpoolDirectory.ts"),
  SpoolFile: import("../layers/spool/SpoolFile.ts"),
  StorageConfigured: import("../layers/storage/StorageConfigured.ts"),
  StorageProgress: import("../layers/storage/StorageProgress.ts"),
  WorkerPool: import("../layers/database/WorkerPool.ts")
})

type Parts = Modules<ReturnType<typeof parts>>

/** Fails if the package lmdb is missing or has the wrong build. It is loaded while the workers start. */
const requiredBuild = Layer.effectDiscard(
  Effect.flatMap(
    load(() => ({ BuildCheck: import("../layers/lmdb/native/BuildCheck.ts") })),
    ({ BuildCheck }) => BuildCheck.check
  )
)

/** Shows the progress of loads, for users who wait for `--only-once`. */
const watched = ({ ProgressTerminal, StorageProgress }: Parts) =>
  Layer.provide(StorageProgress.layerWith("Loading snapshots"), ProgressTerminal.layer)

const layerOf = (parts: Parts, { settings }: Configuration, early: EarlyThread, receiveOnly: boolean) => {
  const workers = parts.WorkerPool.layerWith({
    entry: workerEntry,
    size: settings.database_workers,
    early,
    worker: {
      workerData: {
        log: settings.log,
        instance: parts.SnapshotName.instanceText(settings.instance)
      } satisfies WorkerData
    }
  })
  const budget = parts.MemoryBudgetPermits.layerWith({
    download: settings.memory_downloaded_snapshots,
    decompress: settings.memory_decompressed_snapshots
  })
  const storage = receiveOnly ? parts.StorageConfigured.readOnly : parts.StorageConfigured.layer
  return Layer.mergeAll(
    settings.only_once ? Layer.provide(watched(parts), storage) : storage,
    Layer.provide(budget, parts.GarbageCollectorV8.layer),
    parts.SpoolFile.layerWith({ directory: settings.spool_directory, memoryLimit: settings.spool_memory }),
    parts.HealthRegistry.layer,
    Layer.provide(parts.DatabasesWorker.layer, workers),
    requiredBuild
  ).pipe(Layer.provide(parts.NodeServices.layer))
}

/** Fails if the configuration requests something that is not possible here. */
const check = Effect.fnUntraced(function* (
  parts: Parts,
  loaded: Configuration,
  file: string,
  onlyDb: ReadonlyArray<string>
) {
  const { lmdbs, spool_directory } = loaded.settings
  const spool = yield* parts.SpoolDirectory.problemOf(spool_directory)
  const problems = [
    ...(spool === undefined ? [] : [`spool_directory: ${spool}`]),
    ...onlyDb
      .filter((name) => !Object.hasOwn(lmdbs, name))
      .map((name) => `--only-db ${name}: there is no such database in lmdbs, only ${Object.keys(lmdbs).join(", ")}`)
  ]
  if (problems.length > 0) return yield* new parts.Settings.InvalidSettings({ file, problems })
  for (const warning of loaded.warnings) yield* Effect.logWarning(warning)
})

/** Loads the HTTP server if an address is configured. There is no server with `--only-once`. */
const serving = ({ settings: { http, only_once } }: Configuration) =>
  http.address === "" || only_once
    ? Effect.undefined
    : Effect.flatMap(
        load(() => ({ StatusServer: import("./StatusServer.ts") })),
        ({ StatusServer }) => StatusServer.serveOn(http.address)
      )

const daemon = Effect.fnUntraced(function* (
  parts: Parts,
  loaded: Configuration,
  global: GlobalOptions,
  early: EarlyThread,
  options: SyncOptions,
  receiveOnly: boolean
) {
  const { acceptStale, onlyDb, waitForMarkerFile } = options
  yield* check(parts, loaded, global.config, onlyDb)
  const signals = yield* parts.Signals.make
  const failed = Effect.fnUntraced(function* (exit: Exit.Exit<unknown, unknown>) {
    // A thread that died leaves its environments open in the process, where they cannot be used or closed any more.
    if (parts.Database.isWorkerLost(exit)) return yield* signals.killNow("a worker thread is lost")
    yield* signals.arm
  })
  const daemonOptions = {
    receiveOnly,
    acceptStale,
    onlyDb,
    onlyOnce: loaded.settings.only_once,
    markerFile: waitForMarkerFile,
    hostname: os.hostname()
  }
  return yield* Effect.flatMap(serving(loaded), (serve) =>
    parts.Daemon.run({ ...daemonOptions, serve }, signals.first, failed)
  ).pipe(Effect.provide(layerOf(parts, loaded, early, receiveOnly)))
}, Effect.scoped)

/** The handler of `sync` and `receive`. */
export const runDaemon = Effect.fnUntraced(function* (
  options: SyncOptions,
  global: GlobalOptions,
  receiveOnly: boolean
) {
  // A process that soon ends gains nothing from a second start, which takes a quarter of its time.
  if (options.onlyOnce !== true) {
    const { giveBackFreed } = yield* Effect.promise(() => import("../layers/process/ProcessMemory.ts"))
    yield* giveBackFreed
  }
  if (options.dryRun) {
    const { DryRun } = yield* load(() => ({ DryRun: import("./DryRun.ts") }))
    return yield* DryRun.run(options, global, receiveOnly)
  }
  const { EarlyThread } = yield* load(() => ({ EarlyThread: import("../layers/database/EarlyThread.ts") }))
  const early = yield* EarlyThread.start(workerEntry)
  const loaded = yield* load(parts)
  return yield* loaded.Command.withSettings({ global, onlyOnce: options.onlyOnce }, (configuration) =>
    daemon(loaded, configuration, global, early, options, receiveOnly)
  )
}, Effect.scoped)

/** The flags of `sync` and `receive`. */
export const syncFlags = {
  onlyOnce: Flag.Boolean("only-once").pipe(
    Flag.withoutNegation,
    about(
      "Exit when every snapshot that was in the bucket at the start is merged and local changes are sent (overrides only_once)"
    ),
    optional
  ),
  onlyDb: text("only-db", "NAME").pipe(
    about("Use only this database, by its exact name under lmdbs; can be given more than once"),
    Flag.atLeast(0)
  ),
  waitForMarkerFile: text("wait-for-marker-file", "NAME").pipe(
    about("Wait until the bucket contains an object with this name before any LMDB is opened"),
    optional
  ),
  dryRun: toggle("dry-run").pipe(about("Print what would be merged, sent and deleted, change nothing, and exit")),
  acceptStale: toggle("accept-stale").pipe(
    about("Merge snapshots that are older than the sweeper's retention, and send the LMDB even if it is older")
  )
}

export type SyncOptions = Given<typeof syncFlags>

export const sync = defineCommand({
  name: "sync",
  summary: "Send local changes and merge those of other instances until stopped",
  details: `
With --only-once, the command waits without limit for a snapshot that cannot
be loaded: use --timeout to bound that. It starts no HTTP server. If only_once
is set in the file, --only-once=false overrides it.

Databases that are not named by --only-db are skipped with a warning. If a
name is not configured, the command exits with code 2 before it opens
anything.

The object of --wait-for-marker-file may have any name below the global prefix
and any content. The bucket is checked for it every storage_poll_interval,
forever.

With --dry-run, the LMDBs and the bucket are only read. For each database, the
command prints how many entries of each DBI would come from which instance,
what would be sent, what the cleaner would delete once it has seen it for
must_keep_interval, and what a sweep would remove now. Snapshots are
downloaded to spool_directory for this purpose. An entry that several
instances have is counted for the instance whose version wins. In shadow mode,
changes that the application has made since the shadow DBIs were last updated
are counted separately. If the newest snapshot of an instance cannot be
merged, the next-newest one is used. The exit code is 1 if something cannot be
read or merged. --dry-run cannot be combined with --wait-for-marker-file.

With --accept-stale, entries that other instances have deleted in the meantime
may come back. The option has no effect if the sweeper is disabled.
`,
  examples: [
    { command: "lightningstream --config /etc/lightningstream.yaml sync", description: "Run the daemon" },
    {
      command: "lightningstream sync --dry-run",
      description: "Print what the daemon would do, without doing it"
    },
    {
      command: "lightningstream sync --only-once --timeout 5m",
      description: "Merge what is in the bucket, send local changes, and exit"
    }
  ],
  params: syncFlags,
  run: (options, global) => runDaemon(options, global, false)
})
