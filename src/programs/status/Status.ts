/** The pages that the daemon serves to operators, Prometheus and probes, and the loops that they need. */
import { Effect } from "effect"
import type { Health } from "../../services/Health.ts"
import { HttpServer } from "../../services/HttpServer.ts"
import type { MemoryBudget } from "../../services/MemoryBudget.ts"
import type { Metrics } from "../../services/Metrics.ts"
import type { ProcessInfo } from "../../services/ProcessInfo.ts"
import type { Settings } from "../../services/Settings.ts"
import type { Storage } from "../../services/Storage.ts"
import type { DaemonState } from "../sync/facts/DaemonState.ts"
import * as HealthChecks from "./HealthChecks.ts"
import * as Healthz from "./Healthz.ts"
import * as MetricsPage from "./MetricsPage.ts"
import * as StatusPage from "./page/StatusPage.ts"
import * as StoragePage from "./StoragePage.ts"
import * as Statistics from "./Statistics.ts"

/** Serves the pages from the time this returns until the scope closes. Returns the loops, which run forever. */
export const serve = Effect.fn("Status.serve")(function* (state: DaemonState) {
  const { serve } = yield* HttpServer
  const context = yield* Effect.context<Health | MemoryBudget | Storage | Metrics | ProcessInfo | Settings>()
  const checks = yield* HealthChecks.make(state)
  const statistics = yield* Statistics.make(state)
  yield* serve({
    "/": Effect.provideContext(yield* StatusPage.make(state, statistics), context),
    "/storage": Effect.provideContext(yield* StoragePage.make, context),
    "/healthz": Effect.provideContext(Healthz.page(state, checks), context),
    "/metrics": Effect.provideContext(MetricsPage.page(state, statistics), context)
  })
  return checks.run
})
