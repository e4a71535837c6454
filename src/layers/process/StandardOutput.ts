/**
 * Text to standard output, as fast as its reader takes it. A reader that has seen enough (`… | head`) is no error: the
 * rest is not made.
 */
import { Effect, PlatformError, Schema, Sink, Stdio, Stream } from "effect"

/** `code`: the system's, such as ENOSPC; empty where it said none. */
export class OutputFailed extends Schema.TaggedError<OutputFailed>()("OutputFailed", {
  code: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `standard output: ${this.detail}`
  }
}

const failed = (error: PlatformError.PlatformError): OutputFailed => {
  const { cause } = error.reason
  return new OutputFailed({
    code: typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : "",
    detail: cause instanceof Error ? cause.message : error.message
  })
}

/** A failure of `text` comes after what it gave before was written. */
export const write = <E, R>(text: Stream.Stream<string, E, R>) =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Stream.run(text, Sink.mapError(stdio.stdout(), failed))).pipe(
    Effect.catchIf(
      (error): error is OutputFailed => error instanceof OutputFailed && error.code === "EPIPE",
      () => Effect.void
    )
  )
