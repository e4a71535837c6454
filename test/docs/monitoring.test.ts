/** docs/monitoring.md and the code have the same metrics and checks. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { documented } from "../../scripts/document-metrics.ts"
import { families } from "../../src/domain/metrics/MetricFamilies.ts"
import { readText, rowsOf, sources } from "./Documents.ts"

layer(NodeServices.layer)("docs/monitoring.md", (it) => {
  it.effect("has every metric: else run node scripts/document-metrics.ts", () =>
    Effect.gen(function* () {
      const text = yield* readText("docs/monitoring.md")
      assert.strictEqual(documented(text), text)
      const names = rowsOf(text).flatMap(({ cells, section }) =>
        section.endsWith("metrics") ? (/^`(\w+)`$/.exec(cells[0]!)?.[1] ?? []) : []
      )
      assert.deepStrictEqual(
        names.toSorted(),
        Object.values(families)
          .map(({ name }) => name)
          .toSorted()
      )
    })
  )

  it.effect("the alerts use metrics that there are", () =>
    Effect.gen(function* () {
      const rules = (yield* readText("contrib/prometheus-alerts.yml")).matchAll(/^ +expr: (.*)$/gm)
      const used = Array.from(rules, ([, expr]) => expr!.match(/\b(?:lightningstream|lmdb)_\w+/g) ?? []).flat()
      const names = new Set(Object.values(families).map(({ name }) => name as string))
      assert.isAtLeast(used.length, 9)
      assert.deepStrictEqual(
        used.filter((name) => !names.has(name)),
        []
      )
    })
  )

  it.effect("every metric is used", () =>
    Effect.gen(function* () {
      const code = yield* sources
      // Those of S3 and Azure are counted by the same code.
      const unused = Object.keys(families).filter(
        (key) => !/^(s3|azure)/.test(key) && !code.includes(`families.${key}`)
      )
      assert.deepStrictEqual(unused, [])
    })
  )

  it.effect("has every check of a database, and no other", () =>
    Effect.gen(function* () {
      const checks = Array.from(
        (yield* sources).matchAll(
          /\$\{(?:name|database|state\.options\.database|options\.database)\}_([a-z][a-z_]+)`/g
        ),
        ([, check]) => check!
      )
      const documentedChecks = rowsOf(yield* readText("docs/monitoring.md")).flatMap(({ cells, section }) =>
        section === "Health" ? (/^`<database>_(\w+)`$/.exec(cells[0]!)?.[1] ?? []) : []
      )
      // Three become what they are by how long they have failed.
      const shown = new Set(checks.map((check) => (check.startsWith("storage_") ? `${check}_failed_duration` : check)))
      assert.deepStrictEqual(documentedChecks.toSorted(), [...shown].toSorted())
    })
  )
})
