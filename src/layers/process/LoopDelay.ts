/**
 * How late the event loop of this thread is, by Node's own measurement: a timer that looks every 20 ms.
 *
 * Figures are of the last minute or two, whoever asks and however often: a window of at least a minute, and the one
 * before it. Where nobody asks for longer, the windows are as long.
 */
import { Effect } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"

export interface LoopDelay {
  readonly p99Millis: number
  readonly longestMillis: number
}

/** Time between two looks. A loop that is blocked for less may go unnoticed. */
const resolutionMillis = 20

const windowMillis = 60_000

/** Node records the time between two looks, which is the resolution where nothing is late. */
const delayOf = (nanos: number): number => Math.max(0, nanos / 1e6 - resolutionMillis)

/** Measures until the scope closes. Returns what reads it. */
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
