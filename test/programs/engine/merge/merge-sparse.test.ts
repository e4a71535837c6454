/** A snapshot of a few entries costs what it holds, whatever the size of the DBI; and it is merged as any other. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { Choices } from "../../../simulation/Choices.ts"
import { counting, type CursorCounts } from "../../../support/fakes/CountedLmdb.ts"
import { databaseOptions, dump, merge, over, raw, write } from "../../../support/fixtures/Environments.ts"
import { contentOf, mergeSnapshot, shown } from "../../../support/fixtures/LastWriteWins.ts"
import { type Line, nativeValue, objectOf, snapshot } from "../../../support/fixtures/Snapshots.ts"

const key = (i: number) => `k${String(i).padStart(6, "0")}`

const lines = (
  indexes: ReadonlyArray<number>,
  time: (i: number) => number,
  value: string | null
): ReadonlyArray<Line> => indexes.map((i) => [key(i), time(i), value])

const range = (length: number) => Array.from({ length }, (_, i) => i)

const overCounting = (counts: CursorCounts) => over(counting(LmdbMemory.layerWith(), counts), databaseOptions())

/** As an application puts it. */
const put = (key: string, timestamp: number) =>
  write((transaction) => {
    const value = nativeValue(timestamp, "mine")
    transaction.put(DbiName.fromText("a"), Buffer.from(key), 0, key.length, value, 0, value.length, false)
  })

const mergeOne = (value: string, time: number) => merge(objectOf(snapshot({ a: [[key(2_500), time, value]] })))

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

  it.live("walks no DBI after commits of the application, as long as its changes are followed", () => {
    const counts = { steps: 0, seeks: 0 }
    return Effect.provide(
      Effect.gen(function* () {
        yield* merge(objectOf(snapshot({ a: lines(range(5_000), () => 10, "old") })))
        // From here on.
        yield* dump()
        for (const [i, own] of [key(17), "a first one", "z last", key(4_000)].entries()) {
          yield* put(own, 20 + i)
          Object.assign(counts, { steps: 0, seeks: 0 })
          assert.strictEqual((yield* mergeOne("new", 30 + i)).entriesWritten, 1)
          assert.isBelow(counts.steps, 40, own)
        }
        const held = contentOf(yield* raw).get(DbiName.fromText("a"))!
        assert.strictEqual(held.size, 5_002)
      }),
      over(counting(LmdbMemory.layerWith(), counts), databaseOptions({ deltas: true }))
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
