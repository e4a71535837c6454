/** What merges and dumps say of DBIs: the cleaner's proof that a snapshot contains another one rests on it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { databaseOptions, dump, merge, over, putRaw } from "../../support/fixtures/Environments.ts"
import { drop, put, shadowOptions } from "../../support/fixtures/ShadowEnvironments.ts"
import { dbi, object, objectOf, ofDbis, rawDbis } from "../../support/fixtures/Snapshots.ts"

const merged = (content: Parameters<typeof object>[0]) =>
  Effect.map(merge(object(content)), ({ dbis, made }) => ({ dbis, made }))

const dumped = Effect.map(dump(), ({ result }) => result.dbis)

describe("The names of DBIs in results", () => {
  for (const mergeLockMillis of [0, 1]) {
    it.live(
      `a merge says which there are in the snapshot, and which it had to make (merge_lock_duration ${mergeLockMillis})`,
      () => {
        const { application, layer } = LmdbMemory.makeMemoryEnvironment()
        return Effect.provide(
          Effect.gen(function* () {
            const content = { a: [["k", 1, "v"]], b: [["k", 1, "v"]], empty: [], _sync: [["k", 1, "v"]] } as const
            assert.deepStrictEqual(yield* merged(content), { dbis: ["a", "b", "empty"], made: ["a", "b", "empty"] })
            assert.deepStrictEqual(yield* merged(content), { dbis: ["a", "b", "empty"], made: [] })
            yield* application.write(drop("b"))
            assert.deepStrictEqual(yield* dumped, ["a", "empty"])
            assert.deepStrictEqual(yield* merged({ b: [["other", 1, "v"]] }), { dbis: ["b"], made: ["b"] })
            assert.deepStrictEqual(yield* dumped, ["a", "b", "empty"])
          }),
          over(layer, databaseOptions({ mergeLockMillis }))
        )
      }
    )
  }

  it.live(
    "a large snapshot that is read inside the write transaction gives them as well, a DBI in several messages once",
    () => {
      const { application, layer } = LmdbMemory.makeMemoryEnvironment()
      const many = Array.from(
        { length: 340 },
        (_, i) => [`key-${String(i).padStart(6, "0")}`, 7, "v".repeat(100_000)] as const
      )
      const snapshot = ofDbis([dbi("a", many), dbi("b", [["k", 1, "v"]]), dbi("a", [["z", 1, "v"]])])
      return Effect.provide(
        Effect.gen(function* () {
          yield* application.write(putRaw(rawDbis({ a: [["k", 1, "v"]] })))
          const { dbis, made, passes } = yield* merge(objectOf(snapshot))
          assert.deepStrictEqual({ dbis, made, passes }, { dbis: ["a", "b"], made: ["b"], passes: 2 })
        }),
        over(layer)
      )
    }
  )

  it.live("in shadow mode what was dropped comes back from its shadow: the DBI was not made", () => {
    const { application, layer } = LmdbMemory.makeMemoryEnvironment()
    return Effect.gen(function* () {
      yield* application.write(put("a", { mine: "v" }))
      yield* Effect.provide(
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* merged({ a: [["k", 1, "v"]], b: [["k", 1, "v"]] }), {
            dbis: ["a", "b"],
            made: ["b"]
          })
          yield* application.write(drop("b"))
          assert.deepStrictEqual(yield* dumped, ["a"])
          assert.deepStrictEqual(yield* merged({ b: [["other", 1, "v"]] }), { dbis: ["b"], made: [] })
          assert.deepStrictEqual(yield* dumped, ["a", "b"])
        }),
        over(layer, shadowOptions())
      )
    })
  })
})
