/**
 * Errors and slices of the engine's programs.
 *
 * Hot loops are plain functions that work for about `sliceMillis` and return. Between two slices the fiber yields, so
 * that the thread sees messages, timers and interruptions, and its other databases get their turn.
 */
import { Effect } from "effect"
import { SnapshotCorrupt } from "../../domain/snapshot/SnapshotCorrupt.ts"
import { SnapshotRefused } from "../../domain/snapshot/SnapshotRules.ts"
import type { CompressionError } from "../../services/Compression.ts"
import { CorruptSnapshot, NotNative, RefusedSnapshot, UnsupportedDbi } from "../../services/Database.ts"
import { LmdbError } from "../../services/Lmdb.ts"
import type { SpoolError } from "../../services/Spool.ts"

export type EngineError =
  LmdbError | NotNative | UnsupportedDbi | CorruptSnapshot | RefusedSnapshot | CompressionError | SpoolError

/** Time for which a slice works before it yields. */
export const sliceMillis = 10

/** Steps of a loop between two looks at the clock. 512 steps take about 0.2 ms, a look takes 0.03 µs. */
export const stepsPerLook = 512

/** Work in steps: does about as many as it is told to, and returns true when nothing is left to do. */
export type SteppedWork = (steps: number) => boolean

/** Runs `work` until it is done (true) or until the time (of performance.now) has come (false). */
export const runUntil = (work: SteppedWork, deadline: number): boolean => {
  while (!work(stepsPerLook)) if (performance.now() >= deadline) return false
  return true
}

export const engineErrorOf = (thrown: unknown): EngineError | undefined => {
  if (thrown instanceof SnapshotCorrupt) return new CorruptSnapshot({ problem: thrown.message })
  if (thrown instanceof SnapshotRefused) return new RefusedSnapshot({ problem: thrown.message })
  if (
    thrown instanceof LmdbError ||
    thrown instanceof NotNative ||
    thrown instanceof UnsupportedDbi ||
    thrown instanceof CorruptSnapshot ||
    thrown instanceof RefusedSnapshot
  )
    return thrown
  return undefined
}

/** Runs a plain function. Errors that `errorOf` recognises become failures; anything else thrown is a defect. */
export const attemptWith = <A, E>(errorOf: (thrown: unknown) => E | undefined, run: () => A): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (thrown) {
      const error = errorOf(thrown)
      if (error === undefined) throw thrown
      return Effect.fail(error)
    }
  })

/** Runs a plain function of the engine. */
export const attempt = <A>(run: () => A): Effect.Effect<A, EngineError> => attemptWith(engineErrorOf, run)

/**
 * Calls `slice` with the time (of performance.now) at which it should return, until it returns true. Yields between.
 */
export const inSlices = (slice: (deadline: number) => boolean): Effect.Effect<void, EngineError> =>
  Effect.suspend(() => {
    const once: Effect.Effect<void, EngineError> = Effect.flatMap(
      attempt(() => slice(performance.now() + sliceMillis)),
      (done) => (done ? Effect.void : Effect.flatMap(Effect.yieldNow, () => once))
    )
    return once
  })
