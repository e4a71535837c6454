/** `Metrics` in the text format of Prometheus, by effect's own formatter. */
import { Effect, Layer, Metric } from "effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { families } from "../../domain/metrics/MetricFamilies.ts"
import { add, Metrics } from "../../services/Metrics.ts"

/** Counters without labels, which are counted and not collected: they appear at 0. */
const atZero = [families.cleanerLists, families.cleanerListsFailed, families.cleanerDeletesFailed]

export const layer = Layer.effect(
  Metrics,
  Effect.gen(function* () {
    for (const family of atZero) yield* add(family, {}, 0)
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
