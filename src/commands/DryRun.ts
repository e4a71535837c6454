/**
 * `sync --dry-run` and `receive --dry-run`: reads, and says what the daemon would do. No daemon runs, so LMDB runs in
 * this thread. Loaded when it is asked for.
 */
import { Effect, Stream } from "effect"
import * as Compressions from "../layers/compression/Compressions.ts"
import * as LmdbNative from "../layers/lmdb/native/LmdbNative.ts"
import * as StandardOutput from "../layers/process/StandardOutput.ts"
import * as SpoolFile from "../layers/spool/SpoolFile.ts"
import * as StorageConfigured from "../layers/storage/StorageConfigured.ts"
import { databaseOptions } from "../programs/DatabaseOptions.ts"
import * as DryRun from "../programs/dryrun/DryRun.ts"
import * as DryRunReport from "../programs/dryrun/DryRunReport.ts"
import { InvalidSettings, Settings } from "../services/Settings.ts"
import type { GlobalOptions } from "./cli/GlobalFlags.ts"
import { UsageError } from "./cli/UsageError.ts"
import { once } from "./cli/ConfiguredCommand.ts"
import type { SyncOptions } from "./Sync.ts"

const problemOf = (onlyDb: ReadonlyArray<string>, names: ReadonlyArray<string>): string | undefined => {
  const unknown = onlyDb.find((name) => !names.includes(name))
  return unknown === undefined
    ? undefined
    : `--only-db ${unknown}: no such database in lmdbs: there are ${names.join(", ")}`
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
    code |= yield* DryRun.run(databaseOptions(settings, database), {
      receiveOnly,
      acceptStale,
      open: LmdbNative.layerWith
    }).pipe(
      Effect.flatMap((report) =>
        Effect.as(StandardOutput.write(Stream.make(DryRunReport.text(report))), DryRunReport.isGood(report) ? 0 : 1)
      ),
      Effect.catch((error) => Effect.as(Effect.logError("Cannot look at the database", error), 1)),
      Effect.provide(spool),
      Effect.annotateLogs({ db: database })
    )
  }
  return code
})

/** The exit code. */
export const run = (options: SyncOptions, global: GlobalOptions, receiveOnly: boolean) =>
  options.waitForMarkerFile === undefined
    ? once(
        { global },
        Effect.provide(runAll(options, global, receiveOnly), [StorageConfigured.readOnly, Compressions.layer])
      )
    : new UsageError({
        command: `lightningstream ${receiveOnly ? "receive" : "sync"}`,
        problems: ["--dry-run waits for nothing: leave out --wait-for-marker-file"]
      })
