/**
 * Bundles the scenarios, the probe of the event loop and the worker thread's module into dist-bench/, with the settings
 * of the command's own bundle.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { build } from "rolldown"
import { common, output } from "../rolldown.config.ts"

Effect.promise(() =>
  build({
    ...common,
    cwd: new URL("..", import.meta.url).pathname,
    logLevel: "warn",
    input: { scenario: "bench/scenario.ts", "loop-probe": "bench/loop-probe.ts", worker: "src/worker.ts" },
    output: { ...output, dir: "dist-bench", cleanDir: true }
  })
).pipe(NodeRuntime.runMain)
