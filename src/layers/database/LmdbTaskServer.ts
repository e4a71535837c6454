/** The part of `LmdbTaskThread` that runs in the thread of the task. */
import { Effect, Latch, Layer } from "effect"
import type { MessagePort } from "node:worker_threads"
import type { LmdbTaskResult } from "../../services/LmdbTask.ts"
import { Progress } from "../../services/Progress.ts"
import type { TaskMessage, TaskRequest } from "./TaskMessages.ts"

/** Minimum time between two messages about the same work. */
const reportMillis = 100

/** Creates a `Progress` that reports to the main thread. `flush` sends what has not been reported yet. */
const makeProgress = (post: (message: TaskMessage) => void) => {
  let works = 0
  const flushes = new Map<number, () => void>()
  const measure = Effect.fnUntraced(function* (work: Parameters<Progress["Service"]["measure"]>[0]) {
    const id = works++
    let amount = 0
    let reportedAt = 0
    const report = () => {
      if (amount > 0) post({ _tag: "WorkDone", id, amount })
      amount = 0
      reportedAt = performance.now()
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        post({ _tag: "Work", work, id })
        flushes.set(id, report)
      }),
      () =>
        Effect.sync(() => {
          flushes.delete(id)
          post({ _tag: "WorkEnd", id })
        })
    )
    return {
      add: (more: number) => {
        amount += more
        if (performance.now() - reportedAt >= reportMillis) report()
      }
    }
  })
  return { layer: Layer.succeed(Progress, { measure }), flush: () => flushes.forEach((flush) => flush()) }
}

/**
 * Runs the task, and sends its result. `print` sends text to standard output, and waits until the next piece is
 * requested.
 */
export const serve = Effect.fnUntraced(function* <R>(
  port: MessagePort,
  task: (print: (text: string) => Effect.Effect<void>) => Effect.Effect<LmdbTaskResult, never, R | Progress>
) {
  const interrupted = Latch.makeUnsafe(false)
  const wanted = Latch.makeUnsafe(false)
  const post = (message: TaskMessage) => port.postMessage(message, [])
  const listener = (request: TaskRequest) => (request === "end" ? interrupted : wanted).openUnsafe()
  yield* Effect.acquireRelease(
    Effect.sync(() => port.on("message", listener)),
    // Without a listener the port does not keep the thread alive.
    () => Effect.sync(() => port.off("message", listener))
  )
  const progress = makeProgress(post)
  const print = (text: string) =>
    Effect.suspend(() => {
      progress.flush()
      wanted.closeUnsafe()
      post({ _tag: "Text", text })
      return wanted.await
    })
  const result = yield* Effect.raceFirst(Effect.provide(task(print), progress.layer), interrupted.await)
  if (result !== undefined) post({ _tag: "Result", result })
}, Effect.scoped)
