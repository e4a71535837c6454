/**
 * Counts what happens, and shows it as Prometheus reads it. What is counted lives in effect's registry of metrics:
 * counting needs no service, so any code can do it, and it costs a look-up by name and labels. Not for each entry: for
 * each call, snapshot or transaction.
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

/** Adds to a counter; 0 makes its series appear. */
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
     * Everything that was counted, with what `collect` sets or adds: that is of this exposition alone, so series of
     * something that is gone are gone with it. No family may be both counted and collected.
     */
    readonly expose: <E, R>(collect: Effect.Effect<void, E, R>) => Effect.Effect<string, E, R>
  }
>()("lightningstream/services/Metrics") {}
