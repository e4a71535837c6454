/**
 * Prints help and version texts to standard output. It is not an error when the reader closes the pipe early
 * (`--help | head -1`).
 */
import { Effect } from "effect"
import { commandName } from "./UsageError.ts"

/** Prints the text and returns the exit code. */
export const print = (text: string): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    // Without a listener, a failed write would end the process with a stack trace.
    process.stdout.on("error", () => {})
    process.stdout.write(text, (error) => {
      const isFailure = error !== undefined && error !== null && (error as NodeJS.ErrnoException).code !== "EPIPE"
      if (isFailure) process.stderr.write(`${commandName}: standard output: ${error.message}\n`)
      resume(Effect.succeed(isFailure ? 1 : 0))
    })
  })
