/**
 * Measures the delay of this thread's event loop with Node's own measurement, a timer that fires every 20 ms.
 *
 * The figures cover the current window of at least a minute and the one before it, so they do not depend on how many
 * readers there are. A window ends at the first read after its minute.
 */
import { Effect } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"

export interface LoopDelay {
  readonly p99Millis: number
  readonly longestMillis: number
}

/** Interval of the timer. A loop that is blocked for less may go unnoticed. */
const resolutionMillis = 20

const windowMillis = 60_000

/** Node records the time between two firings, which equals the resolution when nothing is delayed. */
const delayOf = (nanos: number): number => Math.max(0, nanos / 1e6 - resolutionMillis)

/** Measures until the scope closes. Returns an effect that reads the figures. */
export const make = Effect.gen(function* () {
  const histogram = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const histogram = monitorEventLoopDelay({ resolution: resolutionMillis })
      histogram.enable()
      return histogram
    }),
    (histogram) => Effect.sync(() => void histogram.disable())
  )
  let before: LoopDelay = { p99Millis: 0, longestMillis: 0 }
  let began = performance.now()
  return (): LoopDelay => {
    const now: LoopDelay =
      histogram.count === 0
        ? { p99Millis: 0, longestMillis: 0 }
        : { p99Millis: delayOf(histogram.percentile(99)), longestMillis: delayOf(histogram.max) }
    const delay = {
      p99Millis: Math.max(before.p99Millis, now.p99Millis),
      longestMillis: Math.max(before.longestMillis, now.longestMillis)
    }
    if (performance.now() - began >= windowMillis) {
      before = now
      began = performance.now()
      histogram.reset()
    }
    return delay
  }
})
