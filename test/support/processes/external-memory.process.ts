/**
 * Loaded with `--import`: records the peak of the memory outside of V8's heap that belongs to worker threads, such as
 * buffers and the state of zlib, in the file `EXTERNAL_MEMORY`. Unlike the memory of the process, it contains neither
 * V8's compilers nor what the allocator keeps, so it is the same in each run.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- it runs before anything else in the thread
import { writeFileSync } from "node:fs"
import { isMainThread } from "node:worker_threads"

// @effect-diagnostics-next-line processEnv:off -- Effect is not loaded here
const file = process.env["EXTERNAL_MEMORY"]
let peak = 0

const record = () => {
  const { external } = process.memoryUsage()
  if (external <= peak) return
  peak = external
  writeFileSync(file!, String(peak))
}

// @effect-diagnostics-next-line globalTimers:off -- Effect is not loaded here
if (!isMainThread && file !== undefined) setInterval(record, 5).unref()
