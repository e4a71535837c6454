/**
 * `drop-shadow` in a thread of its own: opening an LMDB and every write wait for its lock in a call that nothing can
 * interrupt. The main thread stays free for signals and for the end at `--timeout`.
 */
import { Effect } from "effect"
import { Worker } from "node:worker_threads"
import type { WorkerData } from "./WorkerData.ts"

/** The exit code that the thread sends. `entry`: src/worker.ts. An interruption leaves the thread to itself. */
export const run = (entry: URL, data: WorkerData): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    const worker = new Worker(entry, { workerData: data })
    worker.on("message", (code: number) => resume(Effect.succeed(code)))
    worker.on("error", (error) => resume(Effect.die(error)))
    worker.on("exit", (code) => resume(Effect.die(new Error(`the thread of drop-shadow ended with ${code}`))))
  })
