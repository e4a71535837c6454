/** Process of the log test. It logs as its argument says, and then kills itself in the same turn of the event loop. */
import { Duration, Effect } from "effect"
import { layerWith } from "../../../src/layers/logs/Logs.ts"

const log = Effect.gen(function* () {
  yield* Effect.logDebug("not shown at info")
  yield* Effect.logInfo("Stored snapshot", { time_total: Duration.millis(12), txnID: 7n })
  yield* Effect.logError("Sending failed", new Error("no route"))
  yield* Effect.logInfo("x".repeat(300_000))
  process.kill(process.pid, "SIGKILL")
}).pipe(Effect.annotateLogs({ db: "main" }), Effect.provide(layerWith(JSON.parse(process.argv[2]!))))

Effect.runFork(log)
