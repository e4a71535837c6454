/** `restore` makes an LMDB from the bucket. */
import { Effect, Layer, Stream } from "effect"
import * as Argument from "effect/cli/Argument"
import type { DatabaseOptions } from "../services/Database.ts"
import type { LmdbTask } from "../services/LmdbTask.ts"
import type { SettingsValues } from "../services/Settings.ts"
import type { Restored } from "../programs/snapshots/Restore.ts"
import type { RestoreQuery } from "../programs/snapshots/RestorePlan.ts"
import { defineCommand } from "./cli/CommandDefinition.ts"
import { about, byteSize, type Given, optional, text, timestamp, toggle } from "./cli/Flags.ts"
import type { GlobalOptions } from "./cli/GlobalFlags.ts"
import { load, type Modules } from "./cli/Load.ts"
import { UsageError } from "./cli/UsageError.ts"
import { workerEntry } from "./WorkerEntry.ts"

const parts = () => ({
  BuildCheck: import("../layers/lmdb/native/BuildCheck.ts"),
  Command: import("./cli/ConfiguredCommand.ts"),
  DatabaseOptions: import("../programs/DatabaseOptions.ts"),
  DatabasesWorker: import("../layers/database/DatabasesWorker.ts"),
  LmdbTaskThread: import("../layers/database/LmdbTaskThread.ts"),
  NewDataFile: import("../layers/lmdb/restore/NewDataFile.ts"),
  Restore: import("../programs/snapshots/Restore.ts"),
  Settings: import("../services/Settings.ts"),
  SnapshotName: import("../domain/snapshot/SnapshotName.ts"),
  SpoolFile: import("../layers/spool/SpoolFile.ts"),
  StandardOutput: import("../layers/process/StandardOutput.ts"),
  StorageConfigured: import("../layers/storage/StorageConfigured.ts"),
  TombstoneRetention: import("../programs/sync/TombstoneRetention.ts"),
  WorkerPool: import("../layers/database/WorkerPool.ts")
})

type Parts = Modules<ReturnType<typeof parts>>

const latest = "latest"

const params = {
  snapshot: Argument.String("snapshot").pipe(
    Argument.withMetavar("SNAPSHOT"),
    Argument.withDescription("Name of an object in the bucket, or latest for what a new server would receive")
  ),
  to: text("to", "PATH").pipe(
    about("Path of the LMDB to create: the data file, or the directory of data.mdb if options.no_subdir is false")
  ),
  at: timestamp("at").pipe(
    about("With latest: use the newest snapshot of each instance that is not newer than this time"),
    optional
  ),
  db: text("db", "NAME").pipe(
    about("Database, by its exact name under lmdbs (default: the database of SNAPSHOT, or the only one configured)"),
    optional
  ),
  plain: toggle("plain").pipe(about("Create values without headers, no tombstones and no shadow DBIs")),
  force: toggle("force").pipe(about("Replace an existing file, unless a process has it open")),
  mapSize: byteSize("map-size").pipe(
    about("Map size of the new LMDB, such as 1GB (default: twice the needed size, or map_size if that is larger)"),
    optional
  )
}

type RestoreFlags = Given<typeof params>

/**
 * Size of the map in bytes while the LMDB is filled, which is address space that costs nothing. The size that is needed
 * is known only at the end, and LMDB cannot make a map smaller.
 */
const workMapSize = 2 ** 40

const megabyte = 2 ** 20
const leastMapSize = 64 * megabyte

/** With `--plain`, each DBI of a native database has a shadow until the shadows are dropped. */
const shadowDbis = 2

/** Returns the problems of the options, alone or in combination. */
const problemsOf = ({ SnapshotName }: Parts, { at, db, snapshot }: RestoreFlags, { instance }: GlobalOptions) => {
  if (snapshot === latest) return []
  const name = SnapshotName.parse(snapshot)
  if (name === undefined) return [`${JSON.stringify(snapshot)} is neither the name of a snapshot nor ${latest}`]
  return [
    ...(at === undefined ? [] : [`--at can only be used with ${latest}: ${snapshot} has a fixed time`]),
    ...(db === undefined || db === name.database ? [] : [`--db ${db}: the snapshot is of database ${name.database}`]),
    ...(instance === undefined || SnapshotName.instanceText(instance) === name.instance
      ? []
      : [`--instance ${instance}: the snapshot is of instance ${name.instance}`])
  ]
}

const chooseDatabase = Effect.fnUntraced(function* (
  { DatabaseOptions, Settings, SnapshotName }: Parts,
  settings: SettingsValues,
  { db, snapshot }: RestoreFlags,
  file: string
) {
  const named = SnapshotName.parse(snapshot)?.database
  const flag = named === undefined ? "--db" : "SNAPSHOT of database"
  const names = yield* DatabaseOptions.chosenNames(settings, file, flag, named ?? db)
  if (names.length === 1) return names[0]!
  const problem = `--db: specify the database to restore, one of ${names.join(", ")}`
  return yield* new Settings.InvalidSettings({ file, problems: [problem] })
})

/**
 * Returns the options of the temporary LMDB that is filled. With `--plain` that is done in shadow mode, so that the
 * merge makes the application's DBIs, and the shadows are dropped afterwards.
 */
const targetOf = (options: DatabaseOptions, temporary: string, { mapSize, plain }: RestoreFlags): DatabaseOptions => ({
  ...options,
  ...(plain && options.shadow === undefined ? { shadow: { dupsortHack: false, createFlags: {} } } : {}),
  lmdb: {
    ...options.lmdb,
    path: temporary,
    noSubdir: true,
    create: true,
    mapSize: mapSize ?? workMapSize,
    maxDbs: options.lmdb.maxDbs * (plain ? shadowDbis : 1)
  },
  mergeLockMillis: 0
})

const layerOf = (parts: Parts, { log, spool_directory, spool_memory }: SettingsValues) => {
  const workers = parts.WorkerPool.layerWith({
    entry: workerEntry,
    size: 1,
    worker: { workerData: { log, instance: "" } }
  })
  return Layer.mergeAll(
    parts.StorageConfigured.readOnly,
    parts.SpoolFile.layerWith({ directory: spool_directory, memoryLimit: spool_memory }),
    Layer.provide(parts.DatabasesWorker.layer, workers)
  )
}

/** Returns undefined after a failure, which has been reported. */
const runTask = Effect.fnUntraced(function* ({ LmdbTaskThread }: Parts, settings: SettingsValues, task: LmdbTask) {
  const level = settings.log.level === "info" ? "warning" : settings.log.level
  const result = yield* LmdbTaskThread.run(workerEntry, { log: { ...settings.log, level }, instance: "", task })
  return result.code === 0 ? result.text : undefined
})

const headersOf = ({ plain }: RestoreFlags, { shadow }: DatabaseOptions) =>
  plain ? "none" : shadow === undefined ? "native" : "shadow"

const textOf = (database: string, place: string, { objects }: Restored, counts: string): string =>
  `### ${database} :: ${place}\n\n` +
  objects.map(({ name, result }) => `${name}  ${result.entriesRead} entries\n`).join("") +
  `\n${counts}`

const makeLmdb = Effect.fnUntraced(function* (parts: Parts, given: RestoreFlags, global: GlobalOptions) {
  const settings = yield* parts.Settings.Settings
  yield* parts.BuildCheck.check
  const database = yield* chooseDatabase(parts, settings, given, global.config)
  const options = parts.DatabaseOptions.databaseOptions(settings, database)
  const file = yield* parts.NewDataFile.make({ ...options.lmdb, path: given.to }, given.force)
  const target = targetOf(options, file.temporary, given)
  const query: RestoreQuery = {
    database,
    snapshot: given.snapshot === latest ? undefined : given.snapshot,
    instance: global.instance === undefined ? undefined : parts.SnapshotName.instanceText(global.instance),
    atNano: given.at,
    retentionNano: settings.sweeper.enabled ? parts.TombstoneRetention.retentionNanos(settings) : undefined
  }
  const restored = yield* Effect.provide(parts.Restore.run(query, target), layerOf(parts, settings))
  const written = { database, lmdb: { ...target.lmdb, create: false }, isNative: options.shadow === undefined }
  if (given.plain && (yield* runTask(parts, settings, { _tag: "DropShadow", targets: [written] })) === undefined)
    return 1
  const needed = Math.max(2 * (yield* file.size), options.lmdb.mapSize, leastMapSize)
  if (given.mapSize === undefined) yield* file.setMapSize(Math.ceil(needed / megabyte) * megabyte)
  const entries = restored.objects.map(({ result }) => result.entriesWritten)
  const counts = yield* runTask(parts, settings, {
    _tag: "ReadBack",
    target: { ...written, lmdb: { ...written.lmdb, mapSize: 0 } },
    headers: headersOf(given, options),
    entriesMin: given.plain ? 0 : entries[0]!,
    entriesMax: entries.reduce((sum, count) => sum + count, 0)
  })
  if (counts === undefined) return 1
  yield* file.publish
  yield* parts.StandardOutput.write(Stream.make(textOf(database, file.place, restored, counts)))
  return restored.problems === 0 ? 0 : 1
}, Effect.scoped)

export const restore = defineCommand({
  name: "restore",
  summary: "Create an LMDB from snapshots in the bucket",
  details: `
SNAPSHOT is either the name of an object or the word latest. With latest, the
newest snapshots of all instances, or only of the one given with --instance,
are merged into an empty LMDB. The result is what a new server would receive.
The option --at accepts a time such as 2025-01-31T12:00:00Z, or a time as in
the name of a snapshot. If a snapshot is corrupt or must not be merged, an
error is logged, the next-newest snapshot of that instance is used instead,
and the exit code is 1. A snapshot that was given by its name is never
replaced by another one. Tombstones are kept, whatever their age.

The LMDB has the format that is configured for the database: native headers,
or in shadow mode the application's DBIs and the shadow DBIs. With --plain, it
has no headers, tombstones or shadow DBIs, for applications that do not
support them.

The LMDB is written to a temporary file in the same directory (.NAME.….tmp),
read back, synced and renamed. After a failure or Ctrl-C, an existing file is
unchanged. An existing file is replaced only with --force, and keeps its owner
and mode. It is never replaced while a process on this machine has it open:
stop the application, and sync or receive. Processes in other containers
cannot be detected. Finally, the names of the merged objects are printed,
followed by the number of entries and tombstones and the digest of each DBI,
in the format of verify.

Nothing is written to the bucket.
`,
  examples: [
    {
      command: "lightningstream restore latest --to /tmp/main.lmdb",
      description: "Create the LMDB that a new server would receive"
    },
    {
      command:
        "lightningstream restore latest --db main --instance a --at 2025-01-31T12:00:00Z --plain --to /tmp/then.lmdb",
      description: "Create the LMDB that instance a had at a given time, without headers"
    }
  ],
  params,
  run: Effect.fnUntraced(function* (given, global) {
    const loaded = yield* load(parts)
    const problems = problemsOf(loaded, given, global)
    if (problems.length > 0) return yield* new UsageError({ command: "lightningstream restore", problems })
    return yield* loaded.Command.once({ global }, makeLmdb(loaded, given, global))
  })
})
