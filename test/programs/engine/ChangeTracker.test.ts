import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ChangeTracker } from "../../../src/programs/engine/ChangeTracker.ts"

/** An environment as LMDB numbers it, whoever commits. */
class Numbers {
  last: bigint
  lastForeign: bigint

  constructor(last: number) {
    this.last = BigInt(last)
    this.lastForeign = this.last
  }

  foreignCommit(): void {
    this.lastForeign = ++this.last
  }
}

const Foreign = Schema.Literals([0, 0, 1, 2])

/**
 * Foreign commits and polls before we have the lock, while we hold it (polls only), and after our commit, before it is
 * told.
 */
const Steps = Schema.Array(
  Schema.Union([
    Schema.Struct({ do: Schema.Literal("foreign") }),
    Schema.Struct({ do: Schema.Literal("poll") }),
    Schema.Struct({
      do: Schema.Literal("own"),
      outcome: Schema.Literals(["committed", "wrote nothing", "aborted"]),
      waiting: Foreign,
      after: Foreign,
      polls: Schema.Boolean
    })
  ])
)

describe("ChangeTracker", () => {
  it.prop(
    "a foreign commit is never missed, and an own one never counts",
    [Steps, Schema.Literals([0, 5])],
    ([steps, atOpen]) => {
      const numbers = new Numbers(atOpen)
      const tracker = new ChangeTracker(numbers.last)
      const poll = () => tracker.observe(numbers.last)
      for (const step of steps) {
        if (step.do === "foreign") numbers.foreignCommit()
        else if (step.do === "own") {
          tracker.beginWrite()
          for (let i = 0; i < step.waiting; i++) {
            numbers.foreignCommit()
            if (step.polls) poll()
          }
          const id = numbers.last + 1n
          if (step.polls) poll()
          if (step.outcome === "committed") numbers.last = id
          if (step.polls) poll()
          for (let i = 0; i < step.after; i++) {
            numbers.foreignCommit()
            if (step.polls) poll()
          }
          tracker.endWrite(step.outcome === "committed" ? id : undefined)
        }
        // While nothing of ours is under way, a poll knows exactly.
        if (step.do === "poll") {
          poll()
          assert.strictEqual(tracker.lastForeign, numbers.lastForeign)
        }
        assert.isTrue(tracker.lastForeign <= numbers.lastForeign, "never more than there was")
      }
      poll()
      assert.strictEqual(tracker.lastForeign, numbers.lastForeign)
    },
    { arbitrary: { runs: 2_000 } }
  )

  it("what was there before we came was somebody's", () => {
    assert.strictEqual(new ChangeTracker(7n).lastForeign, 7n)
  })
})
