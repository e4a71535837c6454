/** Random choices from a seed, and the time that a fuzz test may take: `FUZZ_SECONDS`, or a few seconds. */
import { Config, Effect } from "effect"

const defaultSeconds = 6

/** Of a test that `FUZZ_SECONDS` makes long. */
export const timeoutMillis = 3_600_000

/**
 * Repeats `run` with seeds from 0 on for that time and at least `seedsMin` times, or with `FUZZ_SEED` alone, as a
 * failure names it. Returns whether enough was done to expect anything of it.
 */
export const forSeeds = <E, R>(seedsMin: number, run: (seed: number) => Effect.Effect<void, E, R>) =>
  Effect.gen(function* () {
    const seconds = yield* Config.Number("FUZZ_SECONDS").pipe(Config.withDefault(defaultSeconds))
    const only = yield* Config.Number("FUZZ_SEED").pipe(Config.withDefault(-1))
    const until = performance.now() + 1_000 * seconds
    for (let seed = Math.max(0, only); ; seed++) {
      yield* run(seed).pipe(Effect.catchCause((cause) => Effect.die(new Error(`FUZZ_SEED=${seed}: ${String(cause)}`))))
      if (only >= 0) return false
      if (seed + 1 >= seedsMin && performance.now() > until) return true
    }
  })

export interface Dice {
  /** An integer from 0 to `below` - 1. */
  readonly below: (below: number) => number
  /** True once in `of` times. */
  readonly once: (of: number) => boolean
  readonly pick: <A>(choices: ReadonlyArray<A>) => A
  readonly bytes: (length: number, alphabet: ReadonlyArray<number>) => Buffer
}

/** The generator is mulberry32. */
export const make = (seed: number): Dice => {
  let state = Math.imul(seed + 1, 0x9e3779b1)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }
  const below = (limit: number) => next() % limit
  const pick = <A>(choices: ReadonlyArray<A>): A => choices[below(choices.length)]!
  return {
    below,
    once: (of) => below(of) === 0,
    pick,
    bytes: (length, alphabet) => Buffer.from(Array.from({ length }, () => pick(alphabet)))
  }
}
