/** `snapshots put` copies a local file to the bucket. */
import { Effect, Scope, Stream } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- pure
import * as path from "node:path"
import type { SnapshotName } from "../../domain/snapshot/SnapshotName.ts"
import type { SpoolError } from "../../services/Spool.ts"
import type { Source } from "../../services/Storage.ts"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { about, optional, text, toggle } from "../cli/Flags.ts"
import { load, type Modules } from "../cli/Load.ts"
import { UsageError } from "../cli/UsageError.ts"

const parts = () => ({
  Command: import("../cli/ConfiguredCommand.ts"),
  Compressions: import("../../layers/compression/Compressions.ts"),
  DatabaseOptions: import("../../programs/DatabaseOptions.ts"),
  GarbageCollectorV8: import("../../layers/memory/GarbageCollectorV8.ts"),
  LocalFile: import("../../layers/process/LocalFile.ts"),
  Progress: import("../../services/Progress.ts"),
  Settings: import("../../services/Settings.ts"),
  SnapshotName: import("../../domain/snapshot/SnapshotName.ts"),
  Spool: import("../../services/Spool.ts"),
  SpoolFile: import("../../layers/spool/SpoolFile.ts"),
  Storage: import("../../services/Storage.ts"),
  StorageConfigured: import("../../layers/storage/StorageConfigured.ts"),
  UploadCheck: import("../../programs/snapshots/UploadCheck.ts")
})

type Parts = Modules<ReturnType<typeof parts>>

/** Spools a file and checks that it is the named snapshot. What is stored later is exactly what was checked. */
const checked = Effect.fnUntraced(function* (parts: Parts, file: string, name: SnapshotName, config: string) {
  const settings = yield* parts.Settings.Settings
  yield* parts.DatabaseOptions.chosenNames(settings, config, "snapshot of database", name.database)
  const spool = yield* parts.Spool.Spool
  const { measure } = yield* parts.Progress.Progress
  const { size } = yield* parts.LocalFile.source(file)
  const writer = spool.writer(yield* spool.open)
  const options = parts.DatabaseOptions.databaseOptions(settings, name.database)
  // The progress line ends before that of the upload begins. The place of the spool stays open.
  const spooled = yield* Effect.scopedWith(
    Effect.fnUntraced(function* (shown) {
      const work = { label: `Checking ${file}`, unit: "bytes", total: size } as const
      const meter = yield* Scope.provide(measure(work), shown)
      yield* Stream.runForEach(parts.LocalFile.read(file), (chunk) =>
        Effect.andThen(
          writer.append(chunk),
          Effect.sync(() => meter.add(chunk.length))
        )
      )
      const spooled = yield* writer.finish
      yield* parts.UploadCheck.check(name, options, spooled)
      return spooled
    })
  )
  return {
    size: spooled.size,
    read: (start: number, end: number) => spool.read(spooled, { start, end })
  } satisfies Source<SpoolError, never>
})

/** Stores a source and shows the progress. */
const store = Effect.fnUntraced(function* <E, R>({ Progress, Storage }: Parts, name: string, source: Source<E, R>) {
  const storage = yield* Storage.Storage
  const { measure } = yield* Progress.Progress
  const meter = yield* measure({ label: `Uploading ${name}`, unit: "bytes", total: source.size })
  // How far each range was read. Stores read a range once for its checksum and again to send it.
  const reached = new Map<number, number>()
  const read = (start: number, end: number) =>
    Stream.suspend(() => {
      let at = start
      return Stream.tap(source.read(start, end), (chunk) =>
        Effect.sync(() => {
          const before = reached.get(start) ?? start
          at += chunk.length
          if (at <= before) return
          meter.add(at - before)
          reached.set(start, at)
        })
      )
    })
  yield* storage.store(name, { ...source, read })
  return 0
})

export const snapshotsPut = defineCommand({
  name: "put",
  summary: "Upload a file to the bucket",
  details: `
Before the upload, the file is read to its end. It must be a complete snapshot
of the database in its name, and it must be possible to merge it with that
database as configured here. --force skips these checks and accepts any name.

An existing object of the same name is replaced. Every running instance merges
the uploaded snapshot if it is the newest one of its instance. The update
marker is rewritten if use_update_marker is set, and the bucket is created if
the configuration says so.
`,
  examples: [
    {
      command: "lightningstream snapshots put main__a__20250101-000000-000000000__G1.pb.gz",
      description: "Upload a snapshot under the name of the file"
    },
    {
      command: "touch start && lightningstream snapshots put --force start",
      description: "Create the object that sync --wait-for-marker-file start waits for"
    }
  ],
  params: {
    file: Argument.String("file").pipe(Argument.withMetavar("FILE"), Argument.withDescription("File to upload")),
    name: text("name", "NAME").pipe(
      Flag.withAlias("n"),
      about("Name of the object (default: the name of the file)"),
      optional
    ),
    force: toggle("force").pipe(about("Skip the checks and upload the file under any name"))
  },
  run: Effect.fnUntraced(function* ({ file, force, name = path.basename(file) }, global) {
    const loaded = yield* load(parts)
    const { Command, LocalFile } = loaded
    const parsed = loaded.SnapshotName.parse(name)
    if (force) {
      const put = Effect.flatMap(LocalFile.source(file), (source) => store(loaded, name, source))
      return yield* Command.once({ global }, Effect.provide(Effect.scoped(put), loaded.StorageConfigured.layer))
    }
    if (parsed === undefined) {
      const problem = `${JSON.stringify(name)} is not the name of a snapshot: specify one with --name, or use --force to upload the file anyway`
      return yield* new UsageError({ command: "lightningstream snapshots put", problems: [problem] })
    }
    const put = Effect.gen(function* () {
      const { spool_directory, spool_memory } = yield* loaded.Settings.Settings
      const spool = loaded.SpoolFile.layerWith({ directory: spool_directory, memoryLimit: spool_memory })
      return yield* Effect.flatMap(checked(loaded, file, parsed, global.config), (source) =>
        // The bucket is not created before the check has succeeded.
        Effect.provide(store(loaded, name, source), loaded.StorageConfigured.layer)
      ).pipe(Effect.provide([spool, loaded.Compressions.layer, loaded.GarbageCollectorV8.layer]))
    })
    return yield* Command.once({ global }, Effect.scoped(put))
  })
})
