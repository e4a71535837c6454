/**
 * `sync --dry-run` and `receive --dry-run` report what the daemon would do, and change nothing. A separate thread reads
 * the LMDBs (LmdbTaskThread). The module is loaded when it is needed.
 */
import { Effect } from "effect"
import * as SpoolFile from "../layers/spool/SpoolFile.ts"
import * as StorageConfigured from "../layers/storage/StorageConfigured.ts"
import * as DryRunTask from "../programs/dryrun/DryRunTask.ts"
import { InvalidSettings, Settings } from "../services/Settings.ts"
import type { GlobalOptions } from "./cli/GlobalFlags.ts"
import { UsageError } from "./cli/UsageError.ts"
import { once } from "./cli/ConfiguredCommand.ts"
import * as ComparisonThread from "./ComparisonThread.ts"
import type { SyncOptions } from "./Sync.ts"

const problemOf = (onlyDb: ReadonlyArray<string>, names: ReadonlyArray<string>): string | undefined => {
  const unknown = onlyDb.find((name) => !names.includes(name))
  return unknown === undefined
    ? undefined
    : `--only-db ${unknown}: there is no such database in lmdbs, only ${names.join(", ")}`
}

const runAll = Effect.fnUntraced(function* (
  { acceptStale, onlyDb }: SyncOptions,
  global: GlobalOptions,
  receiveOnly: boolean
) {
  const settings = yield* Settings
  const names = Object.keys(settings.lmdbs).toSorted()
  const problem = problemOf(onlyDb, names)
  if (problem !== undefined) return yield* new InvalidSettings({ file: global.config, problems: [problem] })
  const spool = SpoolFile.layerWith({ directory: settings.spool_directory, memoryLimit: 0 })
  let code = 0
  for (const database of names.filter((name) => onlyDb.length === 0 || onlyDb.includes(name))) {
    const options = { database, receiveOnly, acceptStale }
    code |= yield* DryRunTask.run(options, ComparisonThread.run(settings)).pipe(
      Effect.flatMap(ComparisonThread.print),
      Effect.catch((error) => Effect.as(Effect.logError("Cannot look at the database", error), 1)),
      Effect.provide(spool),
      Effect.annotateLogs({ db: database })
    )
  }
  return code
})

/** Runs the dry run of all databases. Returns the exit code. */
export const run = (options: SyncOptions, global: GlobalOptions, receiveOnly: boolean) =>
  options.waitForMarkerFile === undefined
    ? once({ global }, Effect.provide(runAll(options, global, receiveOnly), StorageConfigured.readOnly))
    : new UsageError({
        command: `lightningstream ${receiveOnly ? "receive" : "sync"}`,
        problems: ["--dry-run cannot be combined with --wait-for-marker-file"]
      })
