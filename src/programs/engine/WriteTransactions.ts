/**
 * Runs a write job in one write transaction, or in several that each hold the lock for a limited time: that is
 * `merge_lock_duration` for a merge, and `sweeper.lock_duration` for a sweep. It also measures the time of the lock.
 */
import { Duration, Effect } from "effect"
import { Lmdb } from "../../services/Lmdb.ts"
import type { ChangeTracker } from "./ChangeTracker.ts"
import { attemptWith, type EngineError, engineErrorOf, sliceMillis } from "./Engine.ts"
import { BeginAgain, type WriteJob, State } from "./WriteJob.ts"

export interface Writing {
  readonly tracker: ChangeTracker
  /** Approximate time for which the lock may be held, including the commit. 0 means one transaction. */
  readonly lockMillis: number
  /** Minimum pause between two transactions. */
  readonly releaseMillis: number
  transactions: number
  written: number
  lockHeldMillis: number
  longestLockMillis: number
  /**
   * Time for which the last transaction held the lock after its work. It is mostly the commit, which waits for the
   * disk.
   */
  commitMillis: number
}

export const begin = (tracker: ChangeTracker, lockMillis: number, releaseMillis = 1): Writing => ({
  tracker,
  lockMillis,
  releaseMillis,
  transactions: 0,
  written: 0,
  lockHeldMillis: 0,
  longestLockMillis: 0,
  commitMillis: 0
})

/**
 * Returns how long to work so that the lock is released in time if the commit takes as long as the last one. It is at
 * least half of the limit, however slow the disk is.
 */
const workMillis = ({ commitMillis, lockMillis }: Writing): number =>
  lockMillis === 0 ? Infinity : Math.max(lockMillis - commitMillis, lockMillis / 2)

const attemptJob = <A>(run: () => A) =>
  attemptWith((thrown) => (thrown instanceof BeginAgain ? thrown : engineErrorOf(thrown)), run)

/** Runs `job` in one transaction until it is done or the time has passed. */
const part = Effect.fnUntraced(function* (
  writing: Writing,
  job: WriteJob,
  seen: bigint,
  feed: Effect.Effect<void, EngineError>
) {
  const { tracker } = writing
  const lmdb = yield* Lmdb
  return yield* Effect.acquireUseRelease(
    Effect.sync(() => tracker.beginWrite()),
    () =>
      lmdb.write((transaction) =>
        Effect.gen(function* () {
          const began = performance.now()
          const end = began + workMillis(writing)
          yield* attemptJob(() => job.attach(transaction, transaction.id === seen + 1n))
          for (;;) {
            const slice = performance.now() + sliceMillis
            const state = yield* attemptJob(() => job.advance(job.divisible ? Math.min(slice, end) : slice))
            const now = performance.now()
            const done = state === State.End
            if (done || (now >= end && job.divisible)) return { done, workedMillis: now - began }
            yield* state === State.NeedChunk ? feed : Effect.yieldNow
          }
        }).pipe(Effect.ensuring(Effect.sync(() => job.detach())))
      ),
    (_, exit) =>
      Effect.sync(() => tracker.endWrite(exit._tag === "Success" && exit.value.wrote ? exit.value.id : undefined))
  )
})

/**
 * Runs `job` to its end. `seen` is the id of the last transaction that the job has read. `feed` passes the next chunk
 * to the reader of the job. Returns the id of the last recorded transaction.
 */
export const write = Effect.fnUntraced(function* (
  writing: Writing,
  job: WriteJob,
  seen: bigint,
  feed: Effect.Effect<void, EngineError>
) {
  let last = seen
  for (;;) {
    const {
      id,
      lockHeldMillis,
      value: { done, workedMillis },
      wrote
    } = yield* part(writing, job, last, feed)
    // LMDB does not record a transaction that wrote nothing, and uses its id again.
    last = wrote ? id : id - 1n
    if (wrote) writing.transactions++
    writing.lockHeldMillis += lockHeldMillis
    writing.longestLockMillis = Math.max(writing.longestLockMillis, lockHeldMillis)
    writing.commitMillis = lockHeldMillis - workedMillis
    if (done) break
    // LMDB's writer mutex is not fair, so the application would starve without a pause.
    yield* Effect.sleep(Duration.millis(Math.max(writing.releaseMillis, lockHeldMillis)))
  }
  writing.written += job.written
  return last
})

/** Works on a job that never begins again. Only jobs that read a snapshot, or what a copy has found before, do. */
export const writeToEnd = (writing: Writing, job: WriteJob, seen: bigint) =>
  Effect.catchTag(write(writing, job, seen, Effect.void), "BeginAgain", (again) => Effect.die(again))
