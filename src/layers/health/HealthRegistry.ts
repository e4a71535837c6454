/** `Health` in this process: what fails now, since when by the Clock. A check that is well again is forgotten. */
import { Clock, Effect, Layer } from "effect"
import { type Failing, Health } from "../../services/Health.ts"

export const layer = Layer.sync(Health, () => {
  const checks = new Map<string, Failing>()
  return Health.of({
    failing: Effect.fnUntraced(function* (check, message) {
      const before = checks.get(check)
      checks.set(check, { check, message, since: before?.since ?? (yield* Clock.currentTimeMillis) })
      return before === undefined
    }),
    well: Effect.fnUntraced(function* (check) {
      const before = checks.get(check)
      if (before === undefined) return undefined
      checks.delete(check)
      return (yield* Clock.currentTimeMillis) - before.since
    }),
    all: Effect.sync(() => Array.from(checks.values()).sort((a, b) => (a.check < b.check ? -1 : 1)))
  })
})
