/** Another process that has the write lock of an LMDB for a while. */
import { Effect, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { ChildFailed } from "./Child.ts"

const holder = new URL("holder.ts", import.meta.url)

/** Succeeds when it has the lock; it ends with the scope, if not before. */
export const hold = Effect.fn("LockHolder.hold")(function*(path: string, millis: number) {
  const handle = yield* ChildProcess.make(process.execPath, [holder.pathname, path, String(millis)], { stdin: "ignore", stderr: "inherit" })
  const said = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(handle.stdout)))
  if (said._tag === "None") return yield* new ChildFailed({ command: `holder of ${path}`, problem: "it ended early" })
})
