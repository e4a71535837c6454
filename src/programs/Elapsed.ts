/** Time spans on the monotonic clock. */
import { Clock, Effect } from "effect"

/** Milliseconds since `began`, a value of `Clock.monotonicTimeNanos`. */
export const millisSince = (began: bigint): Effect.Effect<number> =>
  Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - began) / 1e6)
