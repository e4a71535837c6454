/**
 * Creates the bucket before the first operation. If that fails, the next operation tries again, until it has succeeded
 * once. A server that is down at the start is an outage like any other and does not end the process.
 *
 * Guarantees: there is one attempt at a time, started by the first operation that needs the bucket. Operations that
 * wait for an attempt share its failure, so none waits for more than two. Not guaranteed: that a bucket removed later
 * is created again.
 */
import { Effect, Semaphore } from "effect"
import type { StorageError } from "../../../services/Storage.ts"

/** Must be run before each operation. It does nothing once `create` has succeeded. */
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
