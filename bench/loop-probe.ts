/**
 * Loaded into a daemon before anything else (`NODE_OPTIONS="--import …"`): looks at the event loop of its main thread
 * from the last signal `LoopMeter.resetSignal` on to the end of the process, which then writes what it saw to the file
 * that `LoopMeter.reportVariable` names. There are five hundred looks a second: processor time and memory are measured
 * in daemons without it.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- written while the process ends
import * as fs from "node:fs"
import { isMainThread } from "node:worker_threads"
import * as LoopMeter from "./LoopMeter.ts"

// @effect-diagnostics-next-line processEnv:off -- it is loaded before Effect is
const file = process.env[LoopMeter.reportVariable]

if (isMainThread && file !== undefined) {
  const meter = LoopMeter.open()
  // @effect-diagnostics-next-line globalTimers:off -- as above
  setInterval(meter.look, LoopMeter.interval).unref()
  process.on(LoopMeter.resetSignal, meter.reset)
  process.on("exit", () => {
    meter.look()
    fs.writeFileSync(file, JSON.stringify(meter.gaps()))
  })
}
