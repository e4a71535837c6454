/**
 * Metrics, and their exposition for Prometheus. Values are kept in Effect's metric registry, so that counting needs no
 * service and costs a lookup by name and labels. It is meant for calls, snapshots and transactions, not for entries.
 */
import { Context, Duration, Effect, Metric } from "effect"
import type {
  CounterFamily,
  GaugeFamily,
  HistogramFamily,
  LabelsOf,
  MetricFamily,
  SummaryFamily
} from "../domain/metrics/MetricFamily.ts"

const attributes = ({ help }: MetricFamily) => ({ description: help })

/** Adds to a counter. Adding 0 makes its series appear. */
export const add = <Family extends CounterFamily>(
  family: Family,
  labels: LabelsOf<Family>,
  amount: number
): Effect.Effect<void> =>
  Metric.update(Metric.counter(family.name, { ...attributes(family), attributes: labels, incremental: true }), amount)

export const set = <Family extends GaugeFamily>(
  family: Family,
  labels: LabelsOf<Family>,
  value: number
): Effect.Effect<void> => Metric.update(Metric.gauge(family.name, { ...attributes(family), attributes: labels }), value)

export const observe = <Family extends HistogramFamily | SummaryFamily>(
  family: Family,
  labels: LabelsOf<Family>,
  value: number
): Effect.Effect<void> => {
  const options = { ...attributes(family), attributes: labels }
  return family.type === "histogram"
    ? Metric.update(Metric.histogram(family.name, { ...options, boundaries: family.buckets }), value)
    : Metric.update(
        Metric.summary(family.name, { ...options, maxAge: Duration.zero, maxSize: 0, quantiles: [] }),
        value
      )
}

export class Metrics extends Context.Service<
  Metrics,
  {
    /**
     * Returns all counted values, together with those that `collect` sets or adds. The latter belong to this exposition
     * alone, so the series of a removed database disappear with it. A family must not be both counted and collected.
     */
    readonly expose: <E, R>(collect: Effect.Effect<void, E, R>) => Effect.Effect<string, E, R>
  }
>()("lightningstream/services/Metrics") {}
