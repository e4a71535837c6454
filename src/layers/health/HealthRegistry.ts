/** `Health` in this process. It keeps what fails now and what has failed recently, with times from the Clock. */
import { Clock, Effect, Layer } from "effect"
import { type Failing, Health, type PastFailure } from "../../services/Health.ts"

/** Number of past failures that are kept, which is as many as a page shows. */
const recentMax = 20

export const layer = Layer.sync(Health, () => {
  const checks = new Map<string, Failing>()
  /** Failures that are over, the newest last. */
  const over: Array<PastFailure> = []
  return Health.of({
    failing: Effect.fnUntraced(function* (check, message) {
      const before = checks.get(check)
      const since = before?.since ?? (yield* Clock.currentTimeMillis)
      checks.set(check, { check, message, since, attempts: (before?.attempts ?? 0) + 1 })
      return before === undefined
    }),
    well: Effect.fnUntraced(function* (check) {
      const before = checks.get(check)
      if (before === undefined) return undefined
      const until = yield* Clock.currentTimeMillis
      checks.delete(check)
      over.push({ ...before, until })
      if (over.length > recentMax) over.shift()
      return until - before.since
    }),
    all: Effect.sync(() => Array.from(checks.values()).sort((a, b) => (a.check < b.check ? -1 : 1))),
    recent: Effect.sync(() => {
      const problems = [...over, ...Array.from(checks.values(), (failing) => ({ ...failing, until: undefined }))]
      return problems.sort((a, b) => b.since - a.since).slice(0, recentMax)
    })
  })
})
