/**
 * Loaded into a daemon before anything else (`NODE_OPTIONS="--import …"`). It observes the event loop of the main
 * thread from the last signal `LoopMeter.resetSignal` until the end of the process, and then writes a report to the
 * file that `LoopMeter.reportVariable` names. It takes five hundred samples per second, so processor time and memory
 * are measured in daemons without it.
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
