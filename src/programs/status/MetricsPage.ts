/** The page /metrics, with the counted values and those that are read on request. */
import { Effect } from "effect"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import type { GaugeFamily } from "../../domain/metrics/MetricFamily.ts"
import type { PageResponse } from "../../services/HttpServer.ts"
import { add, Metrics, set } from "../../services/Metrics.ts"
import { ProcessInfo, type ProcessUse } from "../../services/ProcessInfo.ts"
import type { DaemonState } from "../sync/facts/DaemonState.ts"
import { collectLmdb } from "./CollectLmdb.ts"
import { collectSync } from "./CollectSync.ts"
import type { ReadStatistics } from "./Statistics.ts"

/** Sets a gauge, unless the system does not provide the value. */
const setKnown = (family: GaugeFamily<never>, value: number | undefined) =>
  value === undefined ? Effect.void : set(family, {}, value)

const collectMemory = Effect.fnUntraced(function* (use: ProcessUse) {
  const kinds = {
    resident: use.residentBytes,
    anonymous: use.anonymousBytes,
    heap: use.heapTotalBytes,
    heap_used: use.heapUsedBytes,
    external: use.externalBytes
  }
  for (const [kind, bytes] of Object.entries(kinds)) {
    if (bytes !== undefined) yield* set(families.processMemory, { kind }, bytes)
  }
})

const collectProcess = Effect.gen(function* () {
  const { facts, use } = yield* ProcessInfo
  const used = yield* use
  const { cpuSeconds, maxFiles, openFiles, residentBytes, virtualBytes } = used
  yield* add(families.processCpu, {}, cpuSeconds)
  yield* set(families.processResident, {}, residentBytes)
  yield* setKnown(families.processVirtual, virtualBytes)
  yield* setKnown(families.processOpenFiles, openFiles)
  yield* setKnown(families.processMaxFiles, maxFiles)
  yield* set(families.processStart, {}, facts.startedAtMillis / 1_000)
  yield* collectMemory(used)
  yield* set(families.loopDelay, { quantile: "0.99" }, used.loopDelayP99Millis / 1_000)
  yield* set(families.loopDelay, { quantile: "1" }, used.loopDelayLongestMillis / 1_000)
  yield* set(families.buildInfo, { version: facts.version, node: facts.node }, 1)
})

export const page = Effect.fn("MetricsPage.page")(function* (state: DaemonState, statistics: ReadStatistics) {
  const { expose } = yield* Metrics
  const body = yield* expose(
    Effect.all([collectProcess, collectSync(state), collectLmdb(statistics)], { discard: true })
  )
  return { contentType: "text/plain; version=0.0.4; charset=utf-8", body } satisfies PageResponse
})
