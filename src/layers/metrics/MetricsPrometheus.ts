/** `Metrics` in Prometheus's text format, produced by Effect's own formatter. */
import { Effect, Layer, Metric } from "effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import type { CounterFamily, MetricFamily } from "../../domain/metrics/MetricFamily.ts"
import { add, Metrics } from "../../services/Metrics.ts"

/** Counters without labels are shown from the start with 0. The collected one is present anyway. */
const isAtZero = (family: MetricFamily): family is CounterFamily<never> =>
  family.type === "counter" && family.labels.length === 0 && family !== families.processCpu

export const layer = Layer.effect(
  Metrics,
  Effect.gen(function* () {
    for (const family of Object.values<MetricFamily>(families).filter(isAtZero)) yield* add(family, {}, 0)
    return Metrics.of({
      expose: (collect) =>
        Effect.gen(function* () {
          const registry = new Map()
          yield* Effect.provideService(collect, Metric.MetricRegistry, registry)
          const collected = yield* Effect.provideService(PrometheusMetrics.format(), Metric.MetricRegistry, registry)
          return (yield* PrometheusMetrics.format()) + collected
        })
    })
  })
)
