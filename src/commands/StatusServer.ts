/** Composes the layers of the HTTP server and its pages. It is loaded only if `http.address` is set. */
import { Effect, Layer } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import * as HttpServerNode from "../layers/http/HttpServerNode.ts"
import * as MetricsPrometheus from "../layers/metrics/MetricsPrometheus.ts"
import * as ProcessInfoNode from "../layers/process/ProcessInfoNode.ts"
import * as Status from "../programs/status/Status.ts"
import type { DaemonState } from "../programs/sync/facts/DaemonState.ts"
import type { Health } from "../services/Health.ts"
import type { MemoryBudget } from "../services/MemoryBudget.ts"
import type { Settings } from "../services/Settings.ts"
import type { Storage } from "../services/Storage.ts"

/** Returns the server as an effect that needs only services of the daemon. */
export const serveOn = Effect.fnUntraced(function* (address: string) {
  const context = yield* Effect.context<Health | MemoryBudget | Settings | Storage>()
  const layer = Layer.mergeAll(
    HttpServerNode.layerWith(address),
    MetricsPrometheus.layer,
    ProcessInfoNode.layerWith(packageJson.version)
  )
  // Built in the scope of the server, because the pages use them for as long as it runs.
  return (state: DaemonState) =>
    Effect.flatMap(Layer.build(layer), (built) =>
      Status.serve(state).pipe(Effect.provideContext(built), Effect.provideContext(context))
    )
})
