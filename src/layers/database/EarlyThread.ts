/**
 * A worker thread that starts before the configuration is read. It takes about as long to start as the main thread
 * takes to load its modules, so both are done at once.
 */
import { Effect } from "effect"
import { Worker } from "node:worker_threads"
import { resourceLimits } from "../process/ProcessMemory.ts"

export interface EarlyThread {
  /** Returns the thread after posting the data it waits for, or undefined if it was taken before or has ended. */
  readonly take: (workerData: unknown) => Worker | undefined
}

const launch = (entry: URL): EarlyThread => {
  let waiting: Worker | undefined = new Worker(entry, { resourceLimits })
  // A thread that ends too early is replaced by another one, which reports the same error.
  waiting.on("error", () => undefined)
  return {
    take: (workerData) => {
      const worker = waiting
      waiting = undefined
      // A thread that has ended has a negative id.
      if (worker === undefined || worker.threadId < 0) return undefined
      worker.postMessage(workerData, [])
      return worker
    }
  }
}

/**
 * Starts the thread. `entry` is src/worker.ts. A thread that nobody took is told so when the scope closes, and ends
 * once it is loaded. It is not terminated: lmdb aborts the whole process if its thread is terminated while lmdb is
 * loaded.
 */
export const start = (entry: URL) =>
  Effect.acquireRelease(
    Effect.sync(() => launch(entry)),
    (early) => Effect.sync(() => early.take(undefined))
  )
