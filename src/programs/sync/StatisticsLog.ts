/** Logs the statistics of an LMDB every `lmdb_log_stats_interval`, with the messages and fields of Lightning Stream. */
import { Duration, Effect } from "effect"
import { Settings } from "../../services/Settings.ts"
import type { SyncState } from "./SyncState.ts"

const log = Effect.fnUntraced(function* ({ database }: SyncState, withMemory: boolean) {
  const { dbis, fileSize, mapSize, maxReaders, pageSize, readers } = yield* database.info
  yield* Effect.logInfo("LMDB info", {
    map_size: mapSize,
    file_size: fileSize,
    num_readers: readers,
    max_readers: maxReaders
  })
  for (const { branchPages, depth, entries, name, overflowPages } of dbis) {
    yield* Effect.logInfo("LMDB db stat", {
      DB: name,
      entries,
      depth,
      branch_pages: branchPages,
      overflow_pages: overflowPages,
      psize: pageSize
    })
  }
  if (withMemory) yield* Effect.logInfo("LMDB memory", yield* database.mappedMemory)
})

/** Runs forever. The other loops report problems of the environment. */
export const run = Effect.fn("StatisticsLog.run")(function* (state: SyncState) {
  const { lmdb_log_stats_interval: interval, lmdb_scrape_smaps } = yield* Settings
  if (!Duration.isGreaterThan(interval, Duration.zero)) return yield* Effect.never
  for (;;) {
    yield* Effect.sleep(interval)
    yield* log(state, lmdb_scrape_smaps).pipe(
      Effect.catchTag("DatabaseError", (error) =>
        error.reaction === "end"
          ? Effect.fail(error)
          : Effect.logWarning("Cannot read the statistics of the LMDB", { error: error.message })
      )
    )
  }
})
