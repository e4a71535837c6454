/**
 * What the engine's programs have in common: their errors, and slices.
 *
 * The hot loops are plain functions that work for about `sliceMillis` and return; between two slices the fiber yields,
 * so that the thread sees messages, timers and interruptions, and the other databases of the thread get their turn.
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

/** How long a slice works before it yields. */
export const sliceMillis = 10

/** How many steps of a loop pass between two looks at the clock: 512 are some 0.2 ms, the look is 0.03 µs. */
export const stepsPerLook = 512

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

/** Runs a plain function; what `errorOf` knows becomes a failure, anything else thrown is a defect. */
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
 * Calls `slice` with the time (of performance.now) at which it should return, until it returns true, with a yield
 * between.
 */
export const inSlices = (slice: (deadline: number) => boolean): Effect.Effect<void, EngineError> =>
  Effect.suspend(() => {
    const once: Effect.Effect<void, EngineError> = Effect.flatMap(
      attempt(() => slice(performance.now() + sliceMillis)),
      (done) => (done ? Effect.void : Effect.flatMap(Effect.yieldNow, () => once))
    )
    return once
  })
