/** The page /metrics: what was counted, and what is read at that moment. */
import { Effect } from "effect"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import type { GaugeFamily } from "../../domain/metrics/MetricFamily.ts"
import type { PageResponse } from "../../services/HttpServer.ts"
import { add, Metrics, set } from "../../services/Metrics.ts"
import { ProcessInfo } from "../../services/ProcessInfo.ts"
import type { DaemonState } from "../sync/facts/DaemonState.ts"
import { collectLmdb } from "./CollectLmdb.ts"
import { collectSync } from "./CollectSync.ts"
import type { ReadStatistics } from "./Statistics.ts"

/** What this system does not say is not shown. */
const setKnown = (family: GaugeFamily<never>, value: number | undefined) =>
  value === undefined ? Effect.void : set(family, {}, value)

const collectProcess = Effect.gen(function* () {
  const { facts, use } = yield* ProcessInfo
  const { cpuSeconds, maxFiles, openFiles, residentBytes, virtualBytes } = yield* use
  yield* add(families.processCpu, {}, cpuSeconds)
  yield* set(families.processResident, {}, residentBytes)
  yield* setKnown(families.processVirtual, virtualBytes)
  yield* setKnown(families.processOpenFiles, openFiles)
  yield* setKnown(families.processMaxFiles, maxFiles)
  yield* set(families.processStart, {}, facts.startedAtMillis / 1_000)
  yield* set(families.buildInfo, { version: facts.version, node: facts.node }, 1)
})

export const page = Effect.fn("MetricsPage.page")(function* (state: DaemonState, statistics: ReadStatistics) {
  const { expose } = yield* Metrics
  const body = yield* expose(
    Effect.all([collectProcess, collectSync(state), collectLmdb(statistics)], { discard: true })
  )
  return { contentType: "text/plain; version=0.0.4; charset=utf-8", body } satisfies PageResponse
})
