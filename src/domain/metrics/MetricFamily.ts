/** Describes a metric as data. The code counts with it, /metrics shows it, and docs/monitoring.md has a row for it. */

interface Described<Labels extends string> {
  readonly name: string
  /** The text of `# HELP`. */
  readonly help: string
  readonly labels: ReadonlyArray<Labels>
}

export interface CounterFamily<Labels extends string = string> extends Described<Labels> {
  readonly type: "counter"
}

/** A value that is read when it is shown, or that was set when an event occurred. */
export interface GaugeFamily<Labels extends string = string> extends Described<Labels> {
  readonly type: "gauge"
}

export interface HistogramFamily<Labels extends string = string> extends Described<Labels> {
  readonly type: "histogram"
  /** Upper bounds of the buckets, inclusive. */
  readonly buckets: ReadonlyArray<number>
}

/** A sum and a count, without quantiles. */
export interface SummaryFamily<Labels extends string = string> extends Described<Labels> {
  readonly type: "summary"
}

export type MetricFamily<Labels extends string = string> =
  CounterFamily<Labels> | GaugeFamily<Labels> | HistogramFamily<Labels> | SummaryFamily<Labels>

export type LabelsOf<Family> = Family extends MetricFamily<infer Labels> ? Readonly<Record<Labels, string>> : never

export const counter = <const Labels extends string = never>(
  name: string,
  help: string,
  ...labels: ReadonlyArray<Labels>
): CounterFamily<Labels> => ({ type: "counter", name, help, labels })

export const gauge = <const Labels extends string = never>(
  name: string,
  help: string,
  ...labels: ReadonlyArray<Labels>
): GaugeFamily<Labels> => ({ type: "gauge", name, help, labels })

export const histogram = <const Labels extends string = never>(
  name: string,
  buckets: ReadonlyArray<number>,
  help: string,
  ...labels: ReadonlyArray<Labels>
): HistogramFamily<Labels> => ({ type: "histogram", name, help, labels, buckets })

export const summary = <const Labels extends string = never>(
  name: string,
  help: string,
  ...labels: ReadonlyArray<Labels>
): SummaryFamily<Labels> => ({ type: "summary", name, help, labels })
