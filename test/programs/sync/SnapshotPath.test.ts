import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import type { Snapshot } from "../../../src/programs/sync/ListedSnapshots.ts"
import { pathOf } from "../../../src/programs/sync/SnapshotPath.ts"

const start = 1_700_000_000_000_000_000n

/** Times in nanoseconds after `start`. Without `from`: a full snapshot. */
const snapshot = (at: number, size: number, from?: number): Snapshot => {
  const fromNano = from === undefined ? undefined : start + BigInt(from)
  const timestampNano = start + BigInt(at)
  const name = SnapshotName.format({ database: "main", instance: "b", timestampNano, format: "gzip", fromNano })
  return { name: SnapshotName.parse(name)!, object: { name, size, etag: "e" } }
}

const full = (at: number, size = 10_000_000) => snapshot(at, size)
const delta = (from: number, at: number, size = 100) => snapshot(at, size, from)

const ordered = (snapshots: ReadonlyArray<Snapshot>) =>
  snapshots.toSorted((a, b) => SnapshotName.compare(a.name, b.name))

const at = (time: number | undefined) => (time === undefined ? undefined : start + BigInt(time))

const shownOne = ({ name: { fromNano, timestampNano } }: Snapshot) =>
  `${fromNano === undefined ? "" : fromNano - start}-${timestampNano - start}`

/** Steps as `from-at`, with what is beyond a gap. */
const shownPath = (snapshots: ReadonlyArray<Snapshot>, through: number | undefined) => {
  const { beyond, steps } = pathOf(ordered(snapshots), at(through))
  return [steps.map(shownOne).join(" "), beyond.map(shownOne).join(" ")]
}

const below = (limit: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 })))

const cost = (steps: ReadonlyArray<Snapshot>) => steps.reduce((sum, { object }) => sum + object.size + 65_536, 0)

describe("A path", () => {
  it("begins with the newest full snapshot, and goes on with what starts in what was merged", () => {
    assert.deepStrictEqual(shownPath([], undefined), ["", ""])
    assert.deepStrictEqual(shownPath([full(1), full(5)], undefined), ["-5", ""])
    assert.deepStrictEqual(shownPath([full(1), delta(1, 2), delta(2, 3)], undefined), ["-1 1-2 2-3", ""])
    assert.deepStrictEqual(shownPath([full(1), delta(1, 2), delta(2, 3)], 2), ["2-3", ""])
    // One that overlaps what was merged.
    assert.deepStrictEqual(shownPath([full(1), delta(1, 4), delta(3, 5)], 2), ["1-4 3-5", ""])
  })

  it("leaves a full snapshot out that deltas lead to", () => {
    const objects = [full(1), delta(1, 2), delta(2, 3), full(3), delta(3, 4)]
    assert.deepStrictEqual(shownPath(objects, 3), ["3-4", ""])
    assert.deepStrictEqual(shownPath(objects, 1), ["1-2 2-3 3-4", ""])
    assert.deepStrictEqual(shownPath(objects, undefined), ["-3 3-4", ""])
  })

  it("takes a small full snapshot instead of many deltas, and one delta instead of those that it spans", () => {
    assert.deepStrictEqual(shownPath([delta(1, 2), delta(2, 3), full(3, 200)], 1), ["-3", ""])
    assert.deepStrictEqual(shownPath([delta(1, 2), delta(2, 3), delta(1, 3, 200), full(3)], 1), ["1-3", ""])
    // Large ones that overlap: the bytes count.
    const large = 1_000_000
    assert.deepStrictEqual(shownPath([delta(1, 2), delta(2, 3), delta(1, 3, large)], 1), ["1-2 2-3", ""])
  })

  it("passes no full snapshot that a delta spans: another process has sent one of them", () => {
    // The full one may hold what is in none of the deltas, which are of a process that has not merged it.
    assert.deepStrictEqual(shownPath([full(1), full(2), delta(1, 3)], 1), ["-2 1-3", ""])
    assert.deepStrictEqual(shownPath([full(1), delta(1, 3), full(2), delta(2, 4)], 1), ["-2 2-4", ""])
    assert.deepStrictEqual(shownPath([full(1), delta(1, 3), full(2), delta(1, 5), full(4)], 1), ["-4 1-5", ""])
    assert.deepStrictEqual(shownPath([full(1), full(2), delta(1, 3), delta(3, 5)], 1), ["-2 1-3 3-5", ""])
  })

  it("ends before a gap, and tells what is beyond it; a full snapshot closes it", () => {
    const objects = [full(1), delta(1, 2), delta(3, 4), delta(4, 5)]
    assert.deepStrictEqual(shownPath(objects, undefined), ["-1 1-2", "3-4 4-5"])
    assert.deepStrictEqual(shownPath(objects, 2), ["", "3-4 4-5"])
    assert.deepStrictEqual(shownPath([...objects, full(5)], 2), ["-5", ""])
    assert.deepStrictEqual(shownPath([...objects, full(5), delta(6, 7)], 2), ["-5", "6-7"])
    assert.deepStrictEqual(shownPath([delta(3, 4), delta(4, 5)], undefined), ["", "3-4 4-5"])
    // The delta around it is large, but there.
    assert.deepStrictEqual(shownPath([...objects, delta(2, 4, 5_000_000)], 2), ["2-4 4-5", ""])
  })

  const objects = Arbitrary.map(
    Arbitrary.array(Arbitrary.all([below(8), below(8), below(4)]), { maxLength: 9 }),
    (many) => many.map(([a, b, size]) => (a < b ? delta(a, b, 10 ** (2 * size)) : full(a, 10 ** (2 * size))))
  )

  /** All of them, by trying everything. */
  const everyPath = (all: ReadonlyArray<Snapshot>, through: bigint | undefined): ReadonlyArray<Array<Snapshot>> => [
    [],
    ...all.flatMap((step) => {
      const { fromNano, timestampNano } = step.name
      const passes = ({ name }: Snapshot) => name.kind === "delta" || name.timestampNano >= timestampNano
      const isOpen =
        fromNano === undefined ||
        (through !== undefined &&
          fromNano <= through &&
          all.every((other) => passes(other) || other.name.timestampNano <= through))
      if (!isOpen || (through !== undefined && timestampNano <= through)) return []
      return everyPath(all, timestampNano).map((steps) => [step].concat(steps))
    })
  ]

  it.effect.prop(
    "leads as far as any, and no other that leads there costs less",
    [Arbitrary.all([objects, below(9)])],
    ([[all, merged]]) =>
      Effect.sync(() => {
        const through = merged === 8 ? undefined : at(merged)
        const { beyond, steps } = pathOf(ordered(all), through)
        const endOf = (path: ReadonlyArray<Snapshot>) => path.at(-1)?.name.timestampNano ?? through ?? -1n
        const paths = everyPath(all, through)
        const farthest = paths.reduce((end, path) => (endOf(path) > end ? endOf(path) : end), -1n)
        assert.strictEqual(endOf(steps), farthest)
        // Each follows on the one before.
        let reached = through
        for (const { name } of steps) {
          assert.isTrue(name.fromNano === undefined || (reached !== undefined && name.fromNano <= reached))
          assert.isTrue(reached === undefined || name.timestampNano > reached)
          reached = name.timestampNano
        }
        const cheapest = Math.min(...paths.filter((path) => endOf(path) === farthest).map(cost))
        // Before anything is merged it begins with the newest full snapshot, whatever older ones cost.
        if (through !== undefined) assert.strictEqual(cost(steps), cheapest)
        const isLater = ({ name }: Snapshot) => name.timestampNano > farthest
        assert.deepStrictEqual(beyond, ordered(all).filter(isLater))
      })
  )
})
