/**
 * Writes text to standard output as fast as its reader takes it. It is not an error when the reader closes the pipe
 * early (`… | head`): the rest of the text is then not produced.
 *
 * Characters that could control a terminal are escaped, since names of objects and DBIs come from elsewhere. In JSON,
 * where they are in strings alone, the escape means the same.
 */
import { Effect, PlatformError, Schema, Sink, Stdio, Stream } from "effect"

/** `code` is the system's, such as ENOSPC, or empty when there is none. */
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

const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Lines and tabs are ours. */
const printable = (text: string): string => text.replace(/(?![\n\t])\p{Cc}/gu, escape)

/** Writes all text that precedes a failure of `text`, then fails with it. */
export const write = <E, R>(text: Stream.Stream<string, E, R>) =>
  Effect.flatMap(Stdio.Stdio, (stdio) =>
    Stream.run(Stream.map(text, printable), Sink.mapError(stdio.stdout(), failed))
  ).pipe(
    Effect.catchIf(
      (error): error is OutputFailed => error instanceof OutputFailed && error.code === "EPIPE",
      () => Effect.void
    )
  )
