/**
 * Waiting for what other processes do: asks until there is an answer. The patience is far beyond what it takes, so that
 * a test that runs out of it has found something, and says what it was waiting for and what it saw last.
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

/** `ask`: undefined means not yet. `seen`: for the message, what there was instead. */
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
