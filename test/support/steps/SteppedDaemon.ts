/** Starts stepped-daemon.process.ts, and reads its log. The process is killed when the scope closes. */
import { Deferred, Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- a process with a channel for messages
import { fork } from "node:child_process"
import { eventually } from "../Eventually.ts"
import type { SteppedLine, SteppedOptions } from "./SendSteps.ts"

export const start = Effect.fnUntraced(function* (options: SteppedOptions) {
  const lines: Array<SteppedLine> = []
  const ended = yield* Deferred.make<string>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      fork(new URL("../processes/stepped-daemon.process.ts", import.meta.url), [JSON.stringify(options)], {
        execPath: process.execPath,
        execArgv: []
      })
    ),
    (child) =>
      Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        Deferred.await(ended)
      )
  )
  child.on("message", (line: SteppedLine) => lines.push(line))
  child.on("exit", (code, signal) => Deferred.doneUnsafe(ended, Effect.succeed(signal ?? String(code))))
  const text = () =>
    lines.map(({ fields, level, message }) => `${level} ${message} ${JSON.stringify(fields)}`).join("\n")
  return {
    lines,
    text,
    /** Returns the signal that has ended the process, or the exit code. */
    ended: Deferred.await(ended),
    logged: (message: string) =>
      eventually(
        `the log says "${message}"`,
        Effect.sync(() => lines.find((line) => line.message.includes(message))),
        text
      )
  }
})

export type SteppedDaemon = Effect.Success<ReturnType<typeof start>>
