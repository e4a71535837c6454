/**
 * The checks of `doctor` for one LMDB. LMDB is called in separate threads, because opening waits for the write lock,
 * and a held lock may be the very problem. The module is loaded when the command runs.
 */
import { Effect, FileSystem, Option, Schema } from "effect"
import * as LmdbTaskThread from "../../layers/database/LmdbTaskThread.ts"
import * as LockHolders from "../../layers/doctor/LockHolders.ts"
import * as SystemPages from "../../layers/doctor/SystemPages.ts"
import { dataFile, lockFile } from "../../layers/lmdb/native/DataFile.ts"
import { taskTarget } from "../../programs/DatabaseOptions.ts"
import type { Finding } from "../../programs/doctor/Finding.ts"
import * as LmdbFindings from "../../programs/doctor/LmdbFindings.ts"
import { LmdbFacts, type LmdbTask, ReaderTable } from "../../services/LmdbTask.ts"
import type { SettingsValues } from "../../services/Settings.ts"
import { workerEntry } from "../WorkerEntry.ts"

/** Time to wait for the write lock. */
const patienceSeconds = 10

const readerTableOf = Schema.decodeUnknownSync(Schema.fromJsonString(ReaderTable))
const lmdbFactsOf = Schema.decodeUnknownSync(Schema.fromJsonString(LmdbFacts))

/** The threads log no warnings, because the checks find the same problems. */
const runTask = ({ log }: SettingsValues, task: LmdbTask) =>
  LmdbTaskThread.run(workerEntry, { log: { ...log, level: "error" }, instance: "", task }).pipe(
    Effect.timeoutOption(`${patienceSeconds} seconds`),
    Effect.map(Option.getOrUndefined)
  )

/** Returns the findings about one LMDB. Never fails. */
export const findings = Effect.fn("Doctor.database")(function* (settings: SettingsValues, database: string) {
  const fs = yield* FileSystem.FileSystem
  const target = taskTarget(settings, database)
  const { dupsort_hack, options } = settings.lmdbs[database]!
  const file = dataFile(target.lmdb)
  if (!(yield* Effect.orElseSucceed(fs.exists(file), () => true))) return LmdbFindings.missing(file, options.create)
  const holders = yield* LockHolders.find(lockFile(target.lmdb))
  const table = yield* runTask(settings, { _tag: "ReadReaders", lmdb: target.lmdb })
  if (table === undefined) return LmdbFindings.locked(patienceSeconds, holders)
  if (table.code !== 0) return LmdbFindings.unusable(table.text)
  const readers = readerTableOf(table.text)
  const found: Array<Finding> = [...LmdbFindings.readers(readers, holders)]
  const facts = yield* runTask(settings, { _tag: "Inspect", target, dupsortHack: dupsort_hack })
  if (facts === undefined) return [...found, ...LmdbFindings.locked(patienceSeconds, holders)]
  if (facts.code !== 0) return [...found, ...LmdbFindings.unusable(facts.text)]
  const content = LmdbFindings.content(
    readers,
    lmdbFactsOf(facts.text),
    options.map_size,
    target.isNative,
    yield* SystemPages.pageSize
  )
  return [...found, ...content]
})
