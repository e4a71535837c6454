/**
 * Renews the pin of `KeyTracker` as the application writes, while the sender is busy or must not send yet. LMDB cannot
 * reuse pages that the pin protects. If the pin stayed until the next poll, the file of an application that writes all
 * the time would grow by what it writes in a poll interval and a send.
 */
import { Duration, Effect } from "effect"
import { observe } from "../LocalChanges.ts"
import type { SyncState } from "../SyncState.ts"

/** Minimum time from a hint that the application writes to a check. A small commit is done by then. */
const settlingMillis = 20

/**
 * After a renewal, the pin rests for this many times the processor time of the renewal, so that it takes at most a
 * fifth of a core. The time for which the renewal waited for a core does not count: on a busy machine, the rest would
 * be a multiple of that, and the file would grow by what is written in the meantime.
 */
const restFactor = 4

/** Renews the pin after each hint. A hint is never dropped, because the sender would not get it again. */
const follow = Effect.fnUntraced(function* (state: SyncState) {
  let restMillis = 0
  for (;;) {
    yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        yield* restore(state.database.touched)
        // After an interruption, the pin is renewed at once.
        yield* Effect.exit(restore(Effect.sleep(Duration.millis(Math.max(settlingMillis, restMillis)))))
        const { tracking } = yield* observe(state)
        restMillis = restFactor * (tracking?.renewalMillis ?? 0)
      })
    )
  }
})

/** Runs `work`, and renews the pin while it runs. */
export const following =
  (state: SyncState) =>
  <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.raceFirst(work, follow(state))
