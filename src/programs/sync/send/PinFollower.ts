/**
 * Moves the pin of the tracker (`KeyTracker`) along with what the application writes, while the sender is busy or may
 * not send yet. LMDB cannot use pages again that the pin holds back: left where it is until the next poll, it makes the
 * file of an application that writes all the time grow by what it writes in a poll interval and a send.
 */
import { Clock, Duration, Effect } from "effect"
import { millisSince } from "../../Elapsed.ts"
import { observe } from "../LocalChanges.ts"
import type { SyncState } from "../SyncState.ts"

/** Minimum time from a hint that the application writes to a look: a small commit is done by then. */
const settlingMillis = 20

/** The pin is at rest for this many times as long as it took to move it: one fifth of a core, at most, is spent on it. */
const restFactor = 4

/** A hint that has come is always followed by a look: the sender would not be told again. */
const follow = Effect.fnUntraced(function* (state: SyncState) {
  let tookMillis = 0
  for (;;) {
    yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        yield* restore(state.database.touched)
        // Interrupted, it looks at once.
        yield* Effect.exit(restore(Effect.sleep(Duration.millis(Math.max(settlingMillis, restFactor * tookMillis)))))
        const began = yield* Clock.monotonicTimeNanos
        yield* observe(state)
        tookMillis = yield* millisSince(began)
      })
    )
  }
})

/** Does that while `work` runs. */
export const following =
  (state: SyncState) =>
  <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.raceFirst(work, follow(state))
