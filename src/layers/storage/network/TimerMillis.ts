/**
 * Converts durations of the configuration to milliseconds for Node's timers. A timer of more than 24.8 days (2³¹ - 1
 * ms) would expire at once, so the result is limited to that. `Effect.sleep` and functions based on it have no such
 * limit.
 */
import { Duration } from "effect"

const timerMillisMax = 2 ** 31 - 1

export const timerMillis = (duration: Duration.Duration): number =>
  Math.min(Duration.toMillis(duration), timerMillisMax)
