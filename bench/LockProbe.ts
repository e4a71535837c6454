/**
 * Runs something while the prober (prober.ts), in a process of its own, asks for the write lock of an LMDB all the
 * time.
 */
import { Effect, Queue, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { ChildFailed, decodeReport } from "./Child.ts"
import { ProberReport } from "./Results.ts"

const prober = new URL("./prober.ts", import.meta.url)

export const during = Effect.fn("LockProbe.during")(function* <A, E, R>(path: string, use: Effect.Effect<A, E, R>) {
  const handle = yield* ChildProcess.make(process.execPath, [prober.pathname, path], { stderr: "inherit" })
  const lines = yield* Stream.toQueue(Stream.splitLines(Stream.decodeText(handle.stdout)), { capacity: 16 })
  const next = Queue.take(lines).pipe(
    Effect.mapError(() => new ChildFailed({ command: `prober of ${path}`, problem: "it ended early" }))
  )
  yield* next
  const value = yield* use
  // Ends its standard input.
  yield* Stream.run(Stream.empty, handle.stdin)
  return { value, probe: yield* decodeReport("prober", ProberReport, yield* next) }
}, Effect.scoped)
