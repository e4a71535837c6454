/** The alerting rules, by Prometheus's own tool: from the package of the system, or one that is fetched. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readText, rowsOf } from "../docs/Documents.ts"
import * as Prometheus from "../support/servers/Prometheus.ts"
import { describeWith } from "../support/servers/RealServers.ts"

const rules = new URL("../../contrib/prometheus-alerts.yml", import.meta.url).pathname
const unitTests = new URL("alerts.promtool.yml", import.meta.url).pathname

/** Each once, in order. */
const namesIn = (text: string, pattern: RegExp) =>
  [...new Set(Array.from(text.matchAll(pattern), ([, name]) => name!))].toSorted()

const fetched = await Prometheus.installed()

describeWith("the alerts, by promtool", fetched, (directory) => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("are rules", () =>
      Effect.gen(function* () {
        const { code, err, out } = yield* Prometheus.promtool(directory, "check", "rules", rules)
        assert.strictEqual(code, 0, err)
        assert.match(out, /SUCCESS: 11 rules found/)
      })
    )

    it.effect("fire when they should, and only then", () =>
      Effect.gen(function* () {
        const { code, err, out } = yield* Prometheus.promtool(directory, "test", "rules", unitTests)
        assert.strictEqual(code, 0, `${out}${err}`)
      })
    )
  })
})

layer(NodeServices.layer)("each alert", (it) => {
  it.effect("has a unit test that sees it, and a row in docs/monitoring.md that says what to do", () =>
    Effect.gen(function* () {
      const names = namesIn(yield* readText("contrib/prometheus-alerts.yml"), /^ +- alert: (\w+)$/gm)
      assert.isAtLeast(names.length, 11)
      const tests = yield* readText("test/contrib/alerts.promtool.yml")
      assert.deepStrictEqual(namesIn(tests, /alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n/g), names)
      assert.deepStrictEqual(namesIn(tests, /alertname: (\w+)\n +eval_time: \w+\n +exp_alerts: \[\]\n/g), names)
      const rows = rowsOf(yield* readText("docs/monitoring.md")).filter(({ section }) => section === "Alerts")
      assert.deepStrictEqual(rows.map(({ cells }) => cells[0]!.replaceAll("`", "")).toSorted(), names)
      for (const { cells } of rows) assert.isAtLeast(cells[2]!.length, 20)
    })
  )
})
