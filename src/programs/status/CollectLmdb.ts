/** Metrics of the LMDBs, from their statistics. */
import { Clock, Effect } from "effect"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import type { DbiStatistics } from "../../services/Lmdb.ts"
import { set } from "../../services/Metrics.ts"
import type { Known, ReadStatistics } from "./Statistics.ts"

export const pagesOf = ({ branchPages, leafPages, overflowPages }: DbiStatistics): number =>
  branchPages + leafPages + overflowPages

const collectDbi = Effect.fnUntraced(function* (lmdb: string, dbi: DbiStatistics, pageSize: number) {
  const labels = { lmdb, db: dbi.name }
  yield* set(families.dbiBytes, labels, pagesOf(dbi) * pageSize)
  yield* set(families.dbiEntries, labels, dbi.entries)
  yield* set(families.dbiDepth, labels, dbi.depth)
  yield* set(families.dbiPages, { ...labels, pagetype: "branch" }, dbi.branchPages)
  yield* set(families.dbiPages, { ...labels, pagetype: "leaf" }, dbi.leafPages)
  yield* set(families.dbiPages, { ...labels, pagetype: "overflow" }, dbi.overflowPages)
})

const collectOne = Effect.fnUntraced(function* (lmdb: string, { at, info, mapped }: Known) {
  const { dbis, fileSize, lastTransactionId, mapSize, maxReaders, oldestReadMillis, pageSize, path, readers } = info
  const used = dbis.reduce((sum, dbi) => sum + pagesOf(dbi) * pageSize, 0)
  yield* set(families.mapSize, { lmdb }, mapSize)
  yield* set(families.fileSize, { lmdb }, fileSize)
  yield* set(families.readers, { lmdb }, readers)
  yield* set(families.readersMax, { lmdb }, maxReaders)
  yield* set(families.lastTransaction, { lmdb }, Number(lastTransactionId))
  yield* set(families.usedBytes, { lmdb }, used)
  yield* set(families.usedFraction, { lmdb }, used / mapSize)
  yield* set(families.oldestRead, { lmdb }, oldestReadMillis / 1e3)
  yield* set(families.statisticsAge, { lmdb }, ((yield* Clock.currentTimeMillis) - at) / 1e3)
  for (const dbi of dbis) yield* collectDbi(lmdb, dbi, pageSize)
  for (const [smap, bytes] of Object.entries(mapped)) {
    yield* set(families.mappedBytes, { lmdb, database_path: path, smap }, bytes)
  }
})

/** Scrapes are rare, so they wait for current values. */
const patience = { forAny: "300 millis", forNewer: "300 millis" } as const

export const collectLmdb = (read: ReadStatistics) =>
  Effect.flatMap(read(patience), (all) =>
    Effect.forEach(all, ([lmdb, { known }]) => (known === undefined ? Effect.void : collectOne(lmdb, known)), {
      discard: true
    })
  )
