/** A merge in parts of merge_lock_duration, between which the application is let in. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Database } from "../../../../src/services/Database.ts"
import { beside, drop, merged, model, put } from "../../../support/fixtures/BesideApplication.ts"
import { lastId } from "../../../support/fixtures/Environments.ts"
import { type Lines, many, snapshot } from "../../../support/fixtures/Snapshots.ts"

const local: Lines = {
  a: [
    ["k1", 10, "old"],
    ["k2", 10, "old"],
    ["k3", 30, "newer"]
  ]
}

describe("Merge in parts of merge_lock_duration", () => {
  const lines = many(12_000, 20, 30, "remote")
  const parts = { mergeLockMillis: 1 }

  it.live("each part is short, and together they are the whole", () =>
    Effect.gen(function* () {
      for (const content of [local, {}] satisfies ReadonlyArray<Lines>) {
        const { layer } = yield* beside(content, [], parts)
        yield* Effect.provide(
          Effect.gen(function* () {
            const idBefore = yield* lastId
            const { content: found, result } = yield* merged(snapshot({ a: lines, b: lines }))
            assert.deepStrictEqual(found, model(content, { a: lines, b: lines }))
            assert.isAbove(result.transactions, 3)
            assert.isBelow(result.longestLockMillis, result.lockHeldMillis / 2)
            const { changes } = yield* Database
            assert.deepInclude(
              { ...(yield* changes) },
              { last: idBefore + BigInt(result.transactions), lastForeign: idBefore }
            )
          }),
          layer
        )
      }
    })
  )

  it.live("what the application commits between the parts is compared again", () =>
    Effect.gen(function* () {
      const early = {
        a: [
          ["key-00000001", 25, "application"],
          ["zz", 1, "application"]
        ]
      } satisfies Lines
      const late = {
        a: [
          ["key-00011998", 25, "application"],
          ["key-00011999", 15, "older"],
          ["aa", 1, "application"]
        ]
      } satisfies Lines
      const { layer } = yield* beside(local, [undefined, put(late), put(early)], parts)
      yield* Effect.provide(
        Effect.gen(function* () {
          const { content, result } = yield* merged(snapshot({ a: lines }))
          assert.deepStrictEqual(content, model(local, early, late, { a: lines }))
          assert.isAbove(result.transactions, 2)
          const { changes } = yield* Database
          assert.isAbove(Number((yield* changes).lastForeign), 2)
        }),
        layer
      )
    })
  )

  it.live("also when the snapshot is read inside them", () =>
    Effect.gen(function* () {
      const large = many(370, 20, 90_000)
      const before = {
        a: [
          ["key-00000100", 30, "newer"],
          ["key-00000200", 10, "older"],
          ["zz", 1, "only here"]
        ]
      } satisfies Lines
      const between = {
        a: [
          ["key-00000365", 30, "application"],
          ["key-00000000", 30, "application"]
        ]
      } satisfies Lines
      for (const content of [before, { b: [["k", 1, "v"]] }] satisfies ReadonlyArray<Lines>) {
        const { layer } = yield* beside(content, [undefined, undefined, put(between)], parts)
        yield* Effect.provide(
          Effect.gen(function* () {
            const { content: found, result } = yield* merged(snapshot({ a: large, b: many(3, 20, 9) }))
            assert.deepStrictEqual(found, model(content, between, { a: large, b: many(3, 20, 9) }))
            assert.strictEqual(result.passes, 2)
            assert.isAbove(result.transactions, 3)
          }),
          layer
        )
      }
    })
  )

  it.live("a DBI that the application drops between the parts: the merge begins again, and all of it is there", () =>
    Effect.gen(function* () {
      const { layer } = yield* beside(local, [undefined, undefined, drop("a")], parts)
      yield* Effect.provide(
        Effect.gen(function* () {
          assert.deepStrictEqual(
            (yield* merged(snapshot({ a: lines, b: lines }))).content,
            model({ a: lines, b: lines })
          )
        }),
        layer
      )
    })
  )
})
