/**
 * Measures the event loop of this thread while an effect runs: its longest gap, and the longest time for which it was
 * blocked.
 */
import { Effect } from "effect"
import * as LoopMeter from "./LoopMeter.ts"

const openMeter = Effect.acquireRelease(Effect.sync(LoopMeter.open), (meter) => Effect.sync(meter.close))

export const gapsDuring = Effect.fnUntraced(function* <A, E, R>(use: Effect.Effect<A, E, R>) {
  const meter = yield* openMeter
  const look = Effect.sync(meter.look)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(LoopMeter.interval), look)))
  // The first gap, which includes the start of the measurement, does not count.
  yield* Effect.sleep("20 millis")
  yield* Effect.sync(meter.reset)
  const value = yield* use
  yield* look
  return { value, ...meter.gaps() }
}, Effect.scoped)
