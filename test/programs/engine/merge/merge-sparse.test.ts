/** A snapshot of a few entries costs what it holds, whatever the size of the DBI; and it is merged as any other. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Choices } from "../../../simulation/Choices.ts"
import { counting, type CursorCounts } from "../../../support/fakes/CountedLmdb.ts"
import { databaseOptions, merge, over, raw } from "../../../support/fixtures/Environments.ts"
import { contentOf, mergeSnapshot, shown } from "../../../support/fixtures/LastWriteWins.ts"
import { type Line, objectOf, snapshot } from "../../../support/fixtures/Snapshots.ts"

const key = (i: number) => `k${String(i).padStart(6, "0")}`

const lines = (
  indexes: ReadonlyArray<number>,
  time: (i: number) => number,
  value: string | null
): ReadonlyArray<Line> => indexes.map((i) => [key(i), time(i), value])

const range = (length: number) => Array.from({ length }, (_, i) => i)

const overCounting = (counts: CursorCounts) => over(counting(LmdbMemory.layerWith(), counts), databaseOptions())

describe("Merge of a sparse snapshot", () => {
  it.live("looks up what is far, and walks what is near", () => {
    const counts = { steps: 0, seeks: 0 }
    return Effect.provide(
      Effect.gen(function* () {
        yield* merge(objectOf(snapshot({ a: lines(range(5_000), () => 10, "old") })))
        Object.assign(counts, { steps: 0, seeks: 0 })
        const few = [17, 1_000, 1_001, 2_500, 4_999]
        const { entriesRead, entriesWritten } = yield* merge(
          objectOf(snapshot({ a: [...lines(few, () => 11, "new"), ["k0012345", 11, "added"], ["l", 11, "last"]] }))
        )
        assert.deepStrictEqual({ entriesRead, entriesWritten }, { entriesRead: 7, entriesWritten: 7 })
        assert.isBelow(counts.steps, 120)
        assert.isBelow(counts.seeks, 8)
        Object.assign(counts, { steps: 0, seeks: 0 })
        yield* merge(objectOf(snapshot({ a: lines(range(5_000), () => 9, "older") })))
        assert.strictEqual(counts.seeks, 0)
      }),
      overCounting(counts)
    )
  })

  it.live("gives what merging entry by entry gives", () =>
    Effect.gen(function* () {
      const counts = { steps: 0, seeks: 0 }
      for (let seed = 0; seed < 60; seed++) {
        const choices = new Choices(seed)
        const some = (probability: number) => range(600).filter(() => choices.chance(probability))
        const time = () => choices.below(4)
        const first = snapshot({ a: lines(some(0.9), time, "one") })
        const second = snapshot({
          a: lines(some(choices.of([0.003, 0.02, 0.3])), time, choices.of(["two", null, "a"]))
        })
        yield* Effect.provide(
          Effect.gen(function* () {
            yield* merge(objectOf(first))
            yield* merge(objectOf(second))
            const expected = shown([first, second].reduce(mergeSnapshot, contentOf([])))
            assert.deepStrictEqual(shown(contentOf(yield* raw)), expected, `seed ${seed}`)
          }),
          overCounting(counts)
        )
      }
      assert.isAbove(counts.seeks, 100)
    })
  )
})
