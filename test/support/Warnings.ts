/** Collects what an effect logs at warning level. */
import { Effect, Logger } from "effect"

/** Returns the first part of each warning. */
export const warningsOf = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const warnings: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") warnings.push(String(Array.isArray(message) ? message[0] : message))
  })
  yield* Effect.provide(effect, Logger.layer([logger]))
  return warnings
})
