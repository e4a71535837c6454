/** The copy main → shadow looks at the keys that have changed, and at everything when they are not known. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Database } from "../../../../src/services/Database.ts"
import { ChangesUnknown, type Lmdb, LmdbError } from "../../../../src/services/Lmdb.ts"
import { counting, type CursorCounts } from "../../../support/fakes/CountedLmdb.ts"
import { replacing } from "../../../support/fakes/ReplacedLmdb.ts"
import { merge, over } from "../../../support/fixtures/Environments.ts"
import { drop, main, put, remove, shadow, shadowOptions } from "../../../support/fixtures/ShadowEnvironments.ts"
import { object } from "../../../support/fixtures/Snapshots.ts"

const entries = 3_000

const key = (i: number) => `k${String(i).padStart(5, "0")}`

const all = Array.from({ length: entries }, (_, i) => [key(i), "v"] as const)

/** A copy, and the merge of a snapshot without entries after it. */
const copy = merge(object({}))

const world = (decorate = (lmdb: Layer.Layer<Lmdb, LmdbError>) => lmdb) => {
  const counts: CursorCounts = { steps: 0, seeks: 0 }
  const { application, layer } = LmdbMemory.makeMemoryEnvironment()
  const database = over(counting(decorate(layer), counts), shadowOptions())
  return { application: application.write, counts, database }
}

/** Steps and lookups of the copy after this. */
const costOf = Effect.fnUntraced(function* (counts: CursorCounts, change: Effect.Effect<unknown, LmdbError>) {
  yield* change
  Object.assign(counts, { steps: 0, seeks: 0 })
  yield* copy
  return counts.steps + counts.seeks
})

describe("Shadow mode, copy by keys", () => {
  it.live("costs what has changed, and notices all of it", () => {
    const { application, counts, database } = world()
    return Effect.provide(
      Effect.gen(function* () {
        yield* application(put("d", all))
        yield* copy
        // The shadow is new since: that is looked at once more.
        yield* application(put("d", [[key(0), "first"]]))
        yield* copy
        const changes = (transaction: Parameters<Parameters<typeof application>[0]>[0]) => {
          put("d", [
            [key(7), "changed"],
            ["new", "v"]
          ])(transaction)
          remove("d", key(2_000))(transaction)
        }
        assert.isBelow(yield* costOf(counts, application(changes)), 60)
        const shown = (yield* shadow("d"))!.map((line) => line.split(" @")[0])
        for (const line of [`${key(7)}=changed`, "new=v", `${key(2_000)} deleted`]) assert.include(shown, line)
        // Polls in between, and a key that goes and comes back.
        for (const value of ["1", "2"]) {
          yield* application(put("d", [[key(9), value]]))
          yield* application(remove("d", key(10)))
          yield* (yield* Database).changes
        }
        const back = put("d", [[key(10), "v"]])
        assert.isBelow(yield* costOf(counts, application(back)), 60)
        assert.include(
          (yield* shadow("d"))!.map((line) => line.split(" @")[0]),
          `${key(9)}=2`
        )
        assert.lengthOf((yield* main("d"))!, entries)
      }),
      database
    )
  })

  it.live("a DBI that was dropped and made again is looked at as a whole: what is gone becomes a tombstone", () => {
    const { application, database } = world()
    return Effect.provide(
      Effect.gen(function* () {
        yield* application(put("d", all))
        yield* copy
        yield* application(drop("d"))
        yield* copy
        yield* application(put("d", [[key(1), "v"]]))
        yield* copy
        const live = (yield* shadow("d"))!.filter((line) => !line.includes(" deleted"))
        assert.deepStrictEqual(
          live.map((line) => line.split(" @")[0]),
          [`${key(1)}=v`]
        )
      }),
      database
    )
  })

  it.live("looks at everything when the pages do not tell what has changed", () => {
    const { application, counts, database } = world((lmdb) =>
      replacing(lmdb, ({ path }) => ({
        changes: () => Effect.fail(new LmdbError({ path, reason: new ChangesUnknown({ detail: "page 7" }) }))
      }))
    )
    return Effect.provide(
      Effect.gen(function* () {
        yield* application(put("d", all))
        yield* copy
        assert.isAbove(yield* costOf(counts, application(put("d", { new: "v" }))), entries)
        assert.include(
          (yield* shadow("d"))!.map((line) => line.split(" @")[0]),
          "new=v"
        )
        const { tracking } = yield* (yield* Database).changes
        assert.isAtLeast(tracking?.givenUp ?? 0, 1)
      }),
      database
    )
  })
})
