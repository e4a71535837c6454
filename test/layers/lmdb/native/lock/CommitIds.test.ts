/** That no order of looks at commits under one lock is called a problem, and that commits beside the lock are one. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as CommitIds from "../../../../../src/layers/lmdb/native/lock/CommitIds.ts"

const steps = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))

/** A writer under the lock after so many steps: it writes its id into the data file, then into the lock file. */
const writerAfter = (count: number) => ({ stored: BigInt((count + 1) >> 1), shared: BigInt(count >> 1) })

describe("CommitIds", () => {
  it.prop(
    "a view finds no problem, however far a writer under the lock gets between its looks",
    [steps, steps, steps],
    ([before, between, after]) => {
      const problem = CommitIds.problemOfView(
        writerAfter(before).stored,
        writerAfter(before + between).shared,
        writerAfter(before + between + after).stored
      )
      assert.isUndefined(problem)
    }
  )

  it.prop(
    "a view finds a problem when two commits more are in the data file than the lock file knows",
    [steps],
    ([count]) => {
      const { shared } = writerAfter(count)
      const stored = shared + 2n
      assert.strictEqual(CommitIds.problemOfView(stored, shared, stored)?._tag, "LockBypassed")
    }
  )

  it.prop(
    "a view finds a problem when the data file has an earlier transaction than the lock file",
    [steps],
    ([count]) => {
      const shared = writerAfter(count).shared + 1n
      assert.strictEqual(CommitIds.problemOfView(shared - 1n, shared, shared - 1n)?._tag, "Replaced")
    }
  )

  it.prop(
    "a write transaction finds a problem unless both files have the id before its own",
    [steps, steps],
    ([own, last]) => {
      const problem = CommitIds.problemOfWrite(BigInt(own + 1), BigInt(last))
      assert.strictEqual(problem?._tag, last === own ? undefined : last > own ? "LockBypassed" : "Replaced")
    }
  )
})
