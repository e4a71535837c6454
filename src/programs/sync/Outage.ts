/**
 * Reports an outage to the log and to health: once when it begins and once when it is over, however many attempts fail
 * in between.
 */
import { Duration, Effect, Schedule } from "effect"
import { Health } from "../../services/Health.ts"

export interface Outage {
  /** Reports a failed attempt. If the outage begins with it, it is logged with `level`. */
  readonly failed: (message: string, level?: "warning" | "error") => Effect.Effect<void>
  readonly over: Effect.Effect<void>
}

/** Retries failures that may recover on their own, as `passes` decides, each time after the pause. */
export const untilItWorks = <A, E extends Error, R>(
  outage: Outage,
  pause: Duration.Duration,
  passes: (error: E) => boolean,
  use: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  use.pipe(
    Effect.tap(outage.over),
    Effect.tapError((error) => (passes(error) ? outage.failed(error.message) : Effect.void)),
    Effect.retry({ while: passes, schedule: Schedule.spaced(pause) })
  )

/**
 * Creates an outage. `check` is its name in /healthz, and `what` the operation in the log, such as "list snapshots".
 */
export const make = Effect.fnUntraced(function* (check: string, what: string): Effect.fn.Return<Outage, never, Health> {
  const health = yield* Health
  return {
    failed: Effect.fnUntraced(function* (message, level = "warning") {
      if (!(yield* health.failing(check, message))) return
      yield* (level === "error" ? Effect.logError : Effect.logWarning)(`Cannot ${what}, retrying`, {
        error: message
      })
    }),
    over: Effect.gen(function* () {
      const millis = yield* health.well(check)
      if (millis !== undefined)
        yield* Effect.logInfo(`Recovered: can ${what} again`, { after: Duration.millis(millis) })
    })
  }
})
