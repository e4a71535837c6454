/**
 * Durations of the configuration as Node's timers take them. A timer of more than 24.8 days (2³¹ - 1 ms) would expire
 * at once: it gets 24.8 days. `Effect.sleep`, and what is made of it, has no such limit.
 */
import { Duration } from "effect"

const timerMillisMax = 2 ** 31 - 1

export const timerMillis = (duration: Duration.Duration): number =>
  Math.min(Duration.toMillis(duration), timerMillisMax)
