/**
 * Counts metrics and exposes them to Prometheus. Values are kept in Effect's metric registry, so counting requires no
 * service and costs one lookup by name and labels. Count calls, snapshots and transactions, but not single entries.
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

/** Adds `amount` to a counter. Adding 0 makes its series appear. */
export const add = <Family extends CounterFamily>(
  family: Family,
  labels: LabelsOf<Family>,
  amount: number
): Effect.Effect<void> =>
  Metric.update(Metric.counter(family.name, { ...attributes(family), attributes: labels, incremental: true }), amount)

/** Sets a gauge. */
export const set = <Family extends GaugeFamily>(
  family: Family,
  labels: LabelsOf<Family>,
  value: number
): Effect.Effect<void> => Metric.update(Metric.gauge(family.name, { ...attributes(family), attributes: labels }), value)

/** Adds an observation to a histogram or summary. */
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
     * Returns all values in Prometheus's text format, together with those that `collect` sets or adds. The latter
     * belong to this exposition alone, so the series of a database that no longer exists disappear. A family must not
     * be both counted and collected.
     */
    readonly expose: <E, R>(collect: Effect.Effect<void, E, R>) => Effect.Effect<string, E, R>
  }
>()("lightningstream/services/Metrics") {}
