/**
 * Runs a task of a command in a thread of its own: opening an LMDB and every write wait for its lock in a call that
 * nothing can interrupt. The main thread stays free for signals and for the end at `--timeout`.
 */
import { Effect, Schema } from "effect"
import { Worker } from "node:worker_threads"
import { LmdbTaskResult } from "../../services/LmdbTask.ts"
import type { WorkerData } from "./WorkerData.ts"

const decodeResult = Schema.decodeUnknownSync(LmdbTaskResult)

/** `entry`: src/worker.ts. An interruption leaves the thread to itself. */
export const run = (entry: URL, data: WorkerData): Effect.Effect<LmdbTaskResult> =>
  Effect.callback<LmdbTaskResult>((resume) => {
    const worker = new Worker(entry, { workerData: data })
    worker.on("message", (result) => resume(Effect.sync(() => decodeResult(result))))
    worker.on("error", (error) => resume(Effect.die(error)))
    worker.on("exit", (code) => resume(Effect.die(new Error(`the thread of a task ended with ${code}`))))
  })
