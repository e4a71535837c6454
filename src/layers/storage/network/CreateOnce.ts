/**
 * Makes the bucket before the first operation, until that worked once: a server that is down at the start is an outage
 * like any other, and not the end of the process.
 *
 * Guarantees: one attempt at a time, begun by whoever needs the bucket; who waited for it shares its failure, so nobody
 * waits for more than two. Not guaranteed: that a bucket which is removed later is made again.
 */
import { Effect, Semaphore } from "effect"
import type { StorageError } from "../../../services/Storage.ts"

/** To be run before each operation; nothing any more as soon as `create` has succeeded. */
export const before = Effect.fnUntraced(function* (create: Effect.Effect<void, StorageError>) {
  const turns = yield* Semaphore.make(1)
  let isDone = false
  let failures = 0
  let last: StorageError | undefined

  const attempt = Effect.matchEffect(create, {
    onSuccess: () =>
      Effect.sync(() => {
        isDone = true
      }),
    onFailure: (error) => {
      failures++
      last = error
      return Effect.fail(error)
    }
  })
  return Effect.suspend(() => {
    if (isDone) return Effect.void
    const seen = failures
    return turns.withPermits(1)(
      Effect.suspend(() => {
        if (isDone) return Effect.void
        return failures > seen && last !== undefined ? Effect.fail(last) : attempt
      })
    )
  })
})
