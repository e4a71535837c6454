import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import golden from "../../golden/metrics.json" with { type: "json" }
import { asLightningStream, families } from "../../../src/domain/metrics/MetricFamilies.ts"
import type { MetricFamily } from "../../../src/domain/metrics/MetricFamily.ts"
import * as MetricsPrometheus from "../../../src/layers/metrics/MetricsPrometheus.ts"
import { add, Metrics, observe, set } from "../../../src/services/Metrics.ts"
import { parseMetrics } from "../../support/HttpPages.ts"

const ages =
  "0.1 0.2 0.5 1 2 5 10 30 60 120 300 600 1800 3600 7200 21600 43200 86400 259200 604800 1209600 2592000".split(" ")
const permits = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10"]
const calls = ["0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10", "30", "60"]

/** Upper bounds of Lightning Stream's histograms, as its /metrics has them. */
const bounds: Readonly<Record<string, ReadonlyArray<string>>> = {
  lightningstream_receiver_snapshots_last_received_age_seconds: ages,
  lightningstream_climit_active_seconds: permits,
  lightningstream_climit_waiting_seconds: permits,
  storage_s3_call_duration_seconds: calls,
  storage_azure_call_duration_seconds: calls
}

const labelsOf = ({ labels }: MetricFamily) => Object.fromEntries(labels.map((label) => [label, "x"]))

const move = (family: MetricFamily) => {
  switch (family.type) {
    case "counter":
      return add(family, labelsOf(family), 1)
    case "gauge":
      return set(family, labelsOf(family), 1)
    default:
      return observe(family, labelsOf(family), 1)
  }
}

/** Every family, moved once. */
const exposeAll = Effect.gen(function* () {
  const { expose } = yield* Metrics
  yield* Effect.forEach(Object.values<MetricFamily>(families), move, { discard: true })
  return parseMetrics(yield* expose(Effect.void))
}).pipe(Effect.provide(MetricsPrometheus.layer), Effect.provideService(Metric.MetricRegistry, new Map()))

describe("MetricsPrometheus", () => {
  it.effect("has the buckets of Lightning Stream's histograms, exactly, and no quantiles of its summary", () =>
    Effect.gen(function* () {
      const { samples, types } = yield* exposeAll
      const seen = Object.values<MetricFamily>(asLightningStream)
        .filter(({ type }) => type === "histogram")
        .map(({ name }) => [
          name,
          samples.filter((sample) => sample.name === `${name}_bucket`).map(({ labels }) => labels["le"])
        ])
      assert.deepStrictEqual(
        Object.fromEntries(seen),
        Object.fromEntries(Object.entries(bounds).map(([name, list]) => [name, [...list, "+Inf"]]))
      )
      const summary = "lightningstream_sweeper_duration_seconds"
      assert.strictEqual(types.get(summary), "summary")
      assert.deepStrictEqual(
        samples.filter(({ name }) => name.startsWith(summary)).map(({ labels, name }) => [name, Object.keys(labels)]),
        [
          [`${summary}_sum`, ["lmdb"]],
          [`${summary}_count`, ["lmdb"]]
        ]
      )
    })
  )

  it.effect("has each metric of Lightning Stream under its name, with its type and labels", () =>
    Effect.gen(function* () {
      const { samples, types } = yield* exposeAll
      for (const { labels, name, type } of golden.metrics) {
        assert.strictEqual(types.get(name), type, name)
        const found = samples.find((sample) => sample.name === name || sample.name === `${name}_bucket`)
        const seen = Object.keys(found!.labels).filter((label) => label !== "le")
        assert.deepStrictEqual(seen.toSorted(), labels.toSorted(), name)
      }
    })
  )
})
