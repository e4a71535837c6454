/**
 * Waits for an effect of other processes, by asking repeatedly. The timeout is much longer than necessary, so a test
 * that reaches it has found a bug. The error contains what the test waited for and what it saw last.
 */
import { Clock, Duration, Effect, Schema } from "effect"

export class NotInTime extends Schema.TaggedError<NotInTime>()("NotInTime", {
  what: Schema.String,
  seen: Schema.String
}) {
  override get message(): string {
    return `waited in vain until ${this.what}; seen: ${this.seen}`
  }
}

/**
 * Repeats `ask` until its result is not undefined. `seen` describes the current state, for the message of the error.
 */
export const eventually = Effect.fnUntraced(function* <A, E, R>(
  what: string,
  ask: Effect.Effect<A | undefined, E, R>,
  seen: () => string = () => "nothing",
  patience: Duration.Input = "45 seconds"
) {
  const end = (yield* Clock.monotonicTimeNanos) + Duration.toNanosUnsafe(patience)
  for (;;) {
    const answer = yield* ask
    if (answer !== undefined) return answer
    if ((yield* Clock.monotonicTimeNanos) > end) return yield* new NotInTime({ what, seen: seen() })
    yield* Effect.sleep("50 millis")
  }
})
