/**
 * The dashboard and the alerts use series that a running daemon has: each by its name, with the labels that they ask
 * for. The daemon has a real S3 server behind a proxy, since some series appear with the first failure only.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readText } from "../docs/Documents.ts"
import type { Sample } from "../support/HttpPages.ts"
import { above, is, startSide } from "../support/MeteredSide.ts"
import * as FaultyProxy from "../support/servers/FaultyProxy.ts"
import { serveRaw } from "../support/servers/HandMadeServer.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import * as Swift from "../support/servers/Swift.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"

const main = { lmdb: "main" }

const Panel = Schema.Struct({
  id: Schema.Number,
  type: Schema.String,
  title: Schema.String,
  description: Schema.optionalKey(Schema.String),
  targets: Schema.optionalKey(Schema.Array(Schema.Struct({ expr: Schema.String, legendFormat: Schema.String })))
})

const Dashboard = Schema.fromJsonString(
  Schema.Struct({
    panels: Schema.Array(Panel),
    templating: Schema.Struct({
      list: Schema.Array(Schema.Struct({ name: Schema.String, definition: Schema.optionalKey(Schema.String) }))
    })
  })
)

const readDashboard = Effect.flatMap(readText("contrib/grafana-dashboard.json"), (text) =>
  Schema.decodeEffect(Dashboard)(text)
)

/** Given by Prometheus to all series of a target. */
const ofTargets = ["job", "instance"]

const seriesIn = (expr: string) => expr.match(/\b(?:lightningstream|lmdb|storage|process)_\w+/g) ?? []

/** The labels that an expression names: in selectors, groupings and legends. */
const labelsIn = (text: string): ReadonlyArray<string> => [
  ...Array.from(text.matchAll(/(\w+)(?:=~|!~|!=|=)"/g), ([, label]) => label!),
  ...Array.from(text.matchAll(/\bby \(([^)]*)\)/g), ([, labels]) => labels!.split(/, */)).flat(),
  ...Array.from(text.matchAll(/\{\{ ?(?:\$labels\.)?(\w+) ?\}\}/g), ([, label]) => label!)
]

/** What an expression, with the texts that belong to it, asks for in vain. */
const missing = (samples: ReadonlyArray<Sample>, expr: string, texts: string): ReadonlyArray<string> =>
  seriesIn(expr).flatMap((name) => {
    const found = samples.find((sample) => sample.name === name)
    if (found === undefined) return [name]
    const known = new Set([...Object.keys(found.labels), ...ofTargets])
    return labelsIn(`${expr} ${texts}`).flatMap((label) => (known.has(label) ? [] : [`${name}{${label}}`]))
  })

const sweeper = { enabled: true, retention_days: 1 / 86_400, interval: "300ms", first_interval: "100ms" }

const cleanup = { enabled: true, interval: "300ms", must_keep_interval: "1ms", remove_old_instances_interval: "1ms" }

/** All series of a daemon to which everything has happened. */
const exposed = Effect.fnUntraced(function* (installed: string) {
  const server = yield* Swift.start(installed)
  const proxy = yield* FaultyProxy.make(server.port)
  const bucketBy = (options: object) => bucketOf("dashboard", options).pipe(Effect.provideService(Swift.Swift, server))
  const storage = yield* bucketBy({ endpoint_url: proxy.endpoint_url, client_timeout: "2s" })
  const settings = { sweeper, storage_retry_forever: true, storage_retry_interval: "200ms" }
  const a = yield* startSide("a", { ...storage, cleanup }, settings, { args: ["sync", "--accept-stale"] })
  yield* a.until("lightningstream_ready", main, is(1))
  const b = yield* startSide("b", yield* bucketBy({}))
  yield* a.until("lightningstream_merges_total", { result: "merged" }, above(0))
  yield* a.application.put("a", "second", 2n)
  yield* a.until("lightningstream_cleaner_delete_total", { reason: "newer snapshot" }, above(0))
  yield* proxy.set("cut")
  yield* b.application.put("b", Buffer.alloc(3_000, "b"), 2n)
  yield* a.until("lightningstream_syncer_snapshots_load_failed_total", main, above(0))
  yield* proxy.set(503)
  yield* a.application.put("a", "third", 3n)
  yield* a.until("lightningstream_syncer_snapshots_store_failed_attempts_total", main, above(0))
  yield* a.until("lightningstream_syncer_snapshots_list_failed_total", main, above(0))
  yield* a.until("lightningstream_sweeper_stats_available", main, is(1))
  return (yield* a.metrics).samples
})

/** Those of Azure, which is not there: calls are counted all the same. */
const exposedByAzure = Effect.gen(function* () {
  const { endpoint_url } = yield* serveRaw((socket) => socket.destroy())
  const account = { account_name: "a", account_key: Buffer.from("key").toString("base64"), use_shared_key: true }
  const c = yield* startSide("c", { type: "azure", options: { ...account, endpoint_url, container: "none" } })
  yield* c.until("storage_azure_call_error_by_type_total", {}, above(0))
  return (yield* c.metrics).samples
})

describeWith("the dashboard and the alerts", await Swift.installed(), (installed) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect(
      "ask for series and labels that running daemons have",
      () =>
        Effect.gen(function* () {
          const samples = [...(yield* exposed(installed)), ...(yield* exposedByAzure)]
          const { panels, templating } = yield* readDashboard
          const targets = panels.flatMap(({ targets = [] }) => targets)
          const rules = Array.from(
            (yield* readText("contrib/prometheus-alerts.yml")).matchAll(/ expr: (.*)\n(?:.*\n)*? +summary: (.*)/g),
            ([, expr, summary]) => [expr!, summary!] as const
          )
          const asked = [
            ...targets.map(({ expr, legendFormat }) => [expr, legendFormat] as const),
            ...rules.filter(([expr]) => !expr.includes(" or ")),
            ...templating.list.map(({ definition = "" }) => [definition, ""] as const)
          ]
          assert.isAtLeast(targets.length, 40)
          assert.isAtLeast(rules.length, 11)
          assert.deepStrictEqual(
            asked.flatMap(([expr, texts]) => missing(samples, expr, texts)),
            []
          )
          // Either side of it has other labels.
          for (const [expr] of rules) assert.deepStrictEqual(missing(samples, expr, ""), [], expr)
        }),
      180_000
    )
  })
})

describe("the dashboard", () => {
  layer(NodeServices.layer)((it) => {
    it.effect("has a title and an explanation for each panel, each under its own number", () =>
      Effect.gen(function* () {
        const { panels } = yield* readDashboard
        for (const { description, targets, title, type } of panels) {
          assert.isNotEmpty(title)
          if (type === "row") continue
          assert.isNotEmpty(description, title)
          assert.isNotEmpty(targets, title)
        }
        assert.strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length)
      })
    )
  })
})
