/** How long each transaction of a job that is cut into parts works, before it commits. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { ChangeTracker } from "../../../src/programs/engine/ChangeTracker.ts"
import * as WriteTransactions from "../../../src/programs/engine/WriteTransactions.ts"
import { type WriteJob, State } from "../../../src/programs/engine/WriteJob.ts"
import { replacing } from "../../support/fakes/ReplacedLmdb.ts"

/** Each transaction holds the lock for so much longer than it works. */
const withCommitsOf = (millis: number) =>
  replacing(LmdbMemory.layerWith(), (inner) => ({
    write: (body) =>
      Effect.map(inner.write(body), (written) => ({ ...written, lockHeldMillis: written.lockHeldMillis + millis }))
  }))

/** Is done in its fourth part. */
class Job implements WriteJob {
  readonly written = 0
  readonly divisible = true
  /** Milliseconds from the begin of each part to the last deadline in it. */
  readonly deadlines: Array<number> = []
  #began = 0

  attach(): void {
    this.#began = performance.now()
    this.deadlines.push(0)
  }

  advance(deadline: number): number {
    this.deadlines[this.deadlines.length - 1] = deadline - this.#began
    return this.deadlines.length < 4 ? State.Paused : State.End
  }

  detach(): void {}
}

const deadlinesOf = Effect.fnUntraced(function* (lockMillis: number, commitMillis: number) {
  const job = new Job()
  const writing = WriteTransactions.begin(new ChangeTracker(0n), lockMillis)
  yield* Effect.provide(WriteTransactions.write(writing, job, 0n, Effect.void), withCommitsOf(commitMillis))
  // The last part ends with its first slice.
  return job.deadlines.slice(0, 3)
})

describe("Parts of a write", () => {
  it.live("leave room for a commit like the last one", () =>
    Effect.gen(function* () {
      const [first, ...later] = yield* deadlinesOf(20, 8)
      assert.isAtMost(first!, 20)
      for (const millis of later) assert.isAtMost(millis, 12)
    })
  )

  it.live("work for half of the time, however slow the disk is", () =>
    Effect.gen(function* () {
      const [, ...later] = yield* deadlinesOf(20, 100)
      for (const millis of later) assert.isAtMost(millis, 10)
      assert.isAbove(Math.max(...later), 5)
    })
  )
})
