/**
 * Runs a task of a command in a separate thread, because opening an LMDB and every write wait for its lock in a call
 * that cannot be interrupted. The main thread stays free to handle signals and to end at `--timeout`.
 *
 * An interruption asks the thread to end, and waits for a moment. A thread that is waiting for LMDB's lock is
 * abandoned, and ends with the process.
 */
import { Effect, Exit, Queue, Schema, Scope, Stream } from "effect"
import { Worker } from "node:worker_threads"
import { LmdbTaskResult } from "../../services/LmdbTask.ts"
import { type Meter, Progress } from "../../services/Progress.ts"
import { resourceLimits } from "../process/ProcessMemory.ts"
import type { TaskMessage, TaskRequest } from "./TaskMessages.ts"
import type { WorkerData } from "./WorkerData.ts"

const decodeResult = Schema.decodeUnknownSync(LmdbTaskResult)

/** Maximum time to wait for a thread that was asked to end. */
const patienceMillis = 500

type Received = TaskMessage | { readonly _tag: "Failed"; readonly error: unknown }

const post = (worker: Worker, request: TaskRequest) => Effect.sync(() => worker.postMessage(request, []))

const end = (worker: Worker) =>
  Effect.callback<void>((resume) => {
    const done = () => resume(Effect.void)
    // A thread that has ended has a negative id.
    if (worker.threadId < 0) return done()
    worker.once("exit", done)
    worker.postMessage("end" satisfies TaskRequest, [])
    // @effect-diagnostics-next-line globalTimersInEffect:off -- a finalizer, which no timeout can interrupt
    setTimeout(done, patienceMillis).unref()
  })

const start = (entry: URL, data: WorkerData, received: Queue.Queue<Received>) =>
  Effect.sync(() => {
    const worker = new Worker(entry, { workerData: data, resourceLimits })
    worker.on("message", (message: TaskMessage) => Queue.offerUnsafe(received, message))
    worker.on("error", (error) => Queue.offerUnsafe(received, { _tag: "Failed", error }))
    worker.on("exit", (code) =>
      Queue.offerUnsafe(received, { _tag: "Failed", error: new Error(`the thread of a task ended with ${code}`) })
    )
    return worker
  })

/** Returns a function that passes messages about work to `Progress`. Each work is shown until it has ended. */
const makeWorks = Effect.gen(function* () {
  const { measure } = yield* Progress
  const parent = yield* Effect.scope
  const works = new Map<number, { readonly meter: Meter; readonly scope: Scope.Closeable }>()
  return Effect.fnUntraced(function* (message: Exclude<TaskMessage, { readonly _tag: "Text" | "Result" }>) {
    if (message._tag === "Work") {
      const scope = yield* Scope.fork(parent)
      works.set(message.id, { scope, meter: yield* Scope.provide(measure(message.work), scope) })
    } else if (message._tag === "WorkDone") works.get(message.id)?.meter.add(message.amount)
    else yield* Scope.close(works.get(message.id)!.scope, Exit.void)
  })
})

/**
 * Starts the thread. Of the returned effects, `next` waits for the next piece of text or the result, and `more`
 * requests the next piece.
 */
const open = Effect.fnUntraced(function* (entry: URL, data: WorkerData) {
  const received = yield* Queue.unbounded<Received>()
  const work = yield* makeWorks
  const worker = yield* Effect.acquireRelease(start(entry, data, received), end)
  const next = Effect.gen(function* () {
    for (;;) {
      const message = yield* Queue.take(received)
      if (message._tag === "Failed") return yield* Effect.die(message.error)
      if (message._tag === "Result") return decodeResult(message.result)
      if (message._tag === "Text") return message.text
      yield* work(message)
    }
  })
  return { next, more: post(worker, "more") }
})

/** Runs a task and returns its result. Pieces of text before the result are discarded. `entry` is src/worker.ts. */
export const run = Effect.fnUntraced(function* (entry: URL, data: WorkerData) {
  const { more, next } = yield* open(entry, data)
  for (;;) {
    const received = yield* next
    if (typeof received !== "string") return received
    yield* more
  }
}, Effect.scoped)

/**
 * Runs a task, and returns what it prints, followed by the text of its result. Each piece is made only when it is
 * requested. `ended` receives the exit code.
 */
export const text = (entry: URL, data: WorkerData, ended: (code: number) => void) =>
  Stream.unwrap(
    Effect.map(open(entry, data), ({ more, next }) =>
      Stream.unfold({ isFirst: true, isLast: false }, ({ isFirst, isLast }) =>
        Effect.gen(function* () {
          if (isLast) return undefined
          if (!isFirst) yield* more
          const received = yield* next
          if (typeof received === "string") return [received, { isFirst: false, isLast: false }] as const
          ended(received.code)
          return [received.text, { isFirst: false, isLast: true }] as const
        })
      )
    )
  )
