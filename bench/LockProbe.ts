/** Runs an effect while the prober (prober.ts), a separate process, repeatedly takes the write lock of an LMDB. */
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
  // Ends the standard input of the prober.
  yield* Stream.run(Stream.empty, handle.stdin)
  return { value, probe: yield* decodeReport("prober", ProberReport, yield* next) }
}, Effect.scoped)
