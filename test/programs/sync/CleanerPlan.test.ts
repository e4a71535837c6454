/**
 * What is deleted, and above all what is not, whatever happens to the bucket and the clocks. Source: docs/sync.md,
 * Cleaner.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import { CleanerPlan } from "../../../src/programs/sync/CleanerPlan.ts"
import type { StoredObject } from "../../../src/services/Storage.ts"
import { actions, CleanerHistory, type Planted, type Step } from "../../support/fixtures/cleaner/CleanerHistory.ts"

const below = (limit: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 }))

const step: Arbitrary.Arbitrary<Step> = Arbitrary.schema(
  Schema.Struct({
    action: Schema.Literals(actions),
    actor: below(6),
    other: below(12),
    how: below(24)
  })
)

const histories = Arbitrary.array(step, { minLength: 20, maxLength: 200 })

/** Seeded: the suite is the same every time. */
const check = (planted: Planted) =>
  Arbitrary.checkEffect(histories, (steps) => new CleanerHistory(planted).run(steps).length === 0, {
    seed: "cleaner",
    runs: 3_000,
    size: 200,
    maxShrinks: 0
  })

describe("CleanerPlan, over arbitrary histories", () => {
  it.live.prop(
    "nothing is deleted that is not in the bucket otherwise, or was seen too short a while ago, or is not ours",
    [histories],
    ([steps]) => Effect.sync(() => assert.deepStrictEqual(new CleanerHistory().run(steps), [])),
    { arbitrary: { seed: "histories", runs: 500, size: 200 } }
  )

  it.effect("both kinds of deletions happen in them, of deltas of several levels, too", () =>
    Effect.gen(function* () {
      const deleted = { "newer snapshot": 0, "stale instance": 0, deltas: 0, levels: 0 }
      for (const steps of yield* Arbitrary.sampleEffect(histories, { seed: "cleaner", count: 200, size: 200 })) {
        const history = new CleanerHistory()
        history.run(steps)
        for (const counted of ["newer snapshot", "stale instance", "deltas", "levels"] as const)
          deleted[counted] += history.deleted[counted]
      }
      assert.isAbove(deleted["newer snapshot"], 1_000)
      assert.isAbove(deleted["stale instance"], 20)
      assert.isAbove(deleted.deltas, 1_000)
      assert.isAbove(deleted.levels, 100)
    })
  )

  const bugs: ReadonlyArray<readonly [string, Planted]> = [
    ["a snapshot that was quarantined counts as read", { readsCorrupt: true }],
    ["DBIs of the merged snapshot are not looked for in our own", { forgetsDbis: true }],
    ["a snapshot that began before the merge counts as containing it", { beginsLate: true }],
    ["a delta that was merged with a gap before it counts as a state that was reached", { ignoresGaps: true }],
    ["a full snapshot with the time of a delta counts as what that delta has told", { forgetsDeltas: true }],
    ["a delta that no full snapshot covers is deleted", { cleansUncovered: true }]
  ]
  for (const [bug, planted] of bugs) {
    it.effect(`finds the planted bug: ${bug}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* check(planted))._tag, "Falsified")
      })
    )
  }
})

const second = 1_000_000_000n
const day = 86_400n * second
const wall = 20_000n * day

const object = (
  instance: string,
  at: bigint,
  overrides: Partial<StoredObject> = {},
  format: SnapshotName.ContainerFormat = "gzip"
): StoredObject => ({
  name: SnapshotName.format({ database: "main", instance, timestampNano: wall + at * second, format }),
  size: 10,
  etag: "1",
  ...overrides
})

const nameOf = (one: StoredObject) => SnapshotName.parse(one.name)!
const snapshotOf = (one: StoredObject) => ({ name: nameOf(one), object: one })

/** Of instance `a`. Times in seconds since it began. */
const makePlan = () => {
  const plan = new CleanerPlan({
    database: "main",
    ownInstance: "a",
    mustKeep: 600n * second,
    removeOldInstances: 7n * day
  })
  return {
    merged: (one: StoredObject, ended: number, dbis = ["x"], made: ReadonlyArray<string> = [], isOnPath = true) =>
      plan.evidence.markMerged(snapshotOf(one), { dbis, made }, BigInt(ended) * second, isOnPath),
    stored: (one: StoredObject, began: number, dbis = ["x"]) =>
      plan.evidence.markStored(nameOf(one), dbis, BigInt(began) * second),
    /** What goes. */
    list: (at: number, objects: ReadonlyArray<StoredObject>, clock = 0n) =>
      plan
        .deletions(objects, { monotonic: BigInt(at) * second, wall: wall + BigInt(at) * second + clock })
        .map(({ name, reason }) => [name.text, reason])
  }
}

const old = object("b", -9n)
const older = object("b", -19n)
const newest = object("b", -1n)

describe("Older snapshots", () => {
  it("go when the newest was merged, and all were seen for longer than must_keep_interval", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    const objects = [older, old, newest]
    assert.deepStrictEqual(plan.list(0, objects), [])
    assert.deepStrictEqual(plan.list(600, objects), [])
    assert.deepStrictEqual(plan.list(601, objects), [
      [older.name, "newer snapshot"],
      [old.name, "newer snapshot"]
    ])
  })

  it("go in both formats, and nothing else does", () => {
    const plan = makePlan()
    const zstd = object("b", -10n, {}, "zstd")
    const others = [
      "main__b__20200101-000000-000000000__GX.pb.xz",
      "main__x__b__20200101-000000-000000000__GX.pb.gz",
      "main__b__never__GX.pb.gz",
      "README"
    ].map((name) => ({ name, size: 1, etag: "" }))
    plan.merged(newest, 5)
    const objects = [...others, zstd, old, newest]
    plan.list(0, objects)
    assert.deepStrictEqual(
      plan.list(601, objects).map(([name]) => name),
      [zstd.name, old.name]
    )
  })

  it("stay as long as the newest is unread, however good the one before it is", () => {
    const plan = makePlan()
    const objects = [older, old, newest]
    plan.merged(old, 5)
    plan.list(0, objects)
    assert.deepStrictEqual(plan.list(10_000, objects), [])
    plan.merged(newest, 10_001)
    assert.strictEqual(plan.list(10_002, objects).length, 2)
  })

  it("go when one that is newer than the newest of long ago was read and is there, but not when it is gone", () => {
    const plan = makePlan()
    const fresh = object("b", 700n)
    plan.list(0, [older, old, newest])
    plan.merged(fresh, 701)
    assert.deepStrictEqual(plan.list(702, [older, old, newest]), [])
    assert.deepStrictEqual(
      plan.list(703, [older, old, newest, fresh]).map(([name]) => name),
      [older.name, old.name]
    )
  })

  it("that appear late stay for must_keep_interval, too", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.list(0, [newest])
    assert.deepStrictEqual(plan.list(700, [old, newest]), [])
    assert.deepStrictEqual(plan.list(1_301, [old, newest]), [[old.name, "newer snapshot"]])
  })

  it("that vanish from a listing, or are replaced, count as seen for the first time", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.list(0, [older, old, newest])
    plan.list(300, [older, newest])
    assert.deepStrictEqual(plan.list(601, [{ ...older, etag: "2" }, old, newest]), [])
  })

  it("stay when the newest is another object than the one that was read", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    const replaced = { ...newest, etag: "2" }
    plan.list(0, [old, replaced])
    assert.deepStrictEqual(plan.list(601, [old, replaced]), [])
  })

  it("that have vanished are forgotten, except for the last one of an instance, so that memory stays bounded", () => {
    const plan = makePlan()
    plan.merged(old, 5)
    plan.merged(newest, 6)
    plan.list(0, [older, newest])
    // As if it had never been merged, because everything about it was forgotten.
    plan.list(1, [older, old])
    assert.deepStrictEqual(plan.list(602, [older, old]), [])
    plan.list(603, [older, newest])
    assert.deepStrictEqual(plan.list(1_204, [older, newest]), [[older.name, "newer snapshot"]])
  })

  it("of our own go when this process has stored a newer one, and not before", () => {
    const plan = makePlan()
    const [before, own] = [object("a", -100n), object("a", -50n)]
    plan.list(0, [before, own])
    assert.deepStrictEqual(plan.list(601, [before, own]), [])
    plan.stored(own, 1)
    assert.deepStrictEqual(plan.list(602, [before, own]), [[before.name, "newer snapshot"]])
  })

  it("are judged by how long this process has seen them, whatever the wall clock says", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.list(0, [old, newest])
    assert.deepStrictEqual(plan.list(10, [old, newest], 365n * day), [])
  })
})

describe("The last snapshot of an instance", () => {
  const week = 7 * 86_400
  const own = object("a", 20n)
  const gone = (plan: ReturnType<typeof makePlan>, objects: ReadonlyArray<StoredObject>) => {
    plan.list(100, objects)
    return plan.list(week + 100, objects)
  }

  it("goes when it is silent for remove_old_instances_interval, merged, and in a snapshot of ours that began after the merge", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.stored(own, 6, ["x", "y"])
    plan.list(0, [newest, own])
    assert.deepStrictEqual(plan.list(week - 2, [newest, own]), [])
    assert.deepStrictEqual(plan.list(week - 1, [newest, own]), [[newest.name, "stale instance"]])
  })

  it("goes after the older ones of its instance", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.stored(own, 6)
    assert.deepStrictEqual(gone(plan, [old, newest, own]), [
      [old.name, "newer snapshot"],
      [newest.name, "stale instance"]
    ])
  })

  it("stays when it was not merged, whatever was stored", () => {
    const plan = makePlan()
    plan.merged(old, 5)
    plan.stored(own, 6)
    assert.deepStrictEqual(gone(plan, [newest, own]), [])
  })

  it("stays when only a newer one was merged, which somebody has removed: its instance may have started again with an older clock", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.list(0, [newest])
    plan.stored(own, 6)
    assert.deepStrictEqual(gone(plan, [old, own]), [])
    plan.merged(old, 7)
    const later = object("a", 21n)
    plan.stored(later, 8)
    assert.deepInclude(gone(plan, [old, own, later]), [old.name, "stale instance"])
  })

  it("goes when a newer one was merged after it, and is gone", () => {
    const plan = makePlan()
    plan.merged(old, 5)
    plan.list(0, [old])
    plan.merged(newest, 6)
    plan.stored(own, 7)
    assert.deepStrictEqual(gone(plan, [old, own]), [[old.name, "stale instance"]])
  })

  it("stays when our snapshot began before the end of the merge", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.stored(own, 5)
    assert.deepStrictEqual(gone(plan, [newest, own]), [])
    const later = object("a", 21n)
    plan.stored(later, 6)
    assert.deepInclude(gone(plan, [newest, own, later]), [newest.name, "stale instance"])
  })

  it("stays when our snapshot has not all of its DBIs, as the application has dropped one", () => {
    const plan = makePlan()
    plan.merged(newest, 5, ["x", "dropped"])
    plan.stored(own, 6, ["x"])
    assert.deepStrictEqual(gone(plan, [newest, own]), [])
  })

  it("stays when a DBI of it was dropped and came back with another snapshot", () => {
    const plan = makePlan()
    plan.merged(newest, 5, ["x"], ["x"])
    plan.merged(object("c", -1n), 6, ["x"], ["x"])
    plan.stored(own, 7)
    assert.deepStrictEqual(gone(plan, [newest, own]), [])
  })

  it("stays when our snapshot is no longer in the bucket, or not our newest there", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.stored(own, 6)
    assert.deepStrictEqual(gone(plan, [newest]), [])
    assert.deepStrictEqual(gone(plan, [newest, own, object("a", 30n)]), [])
  })

  it("stays while a newer one of its instance is in the bucket, if only for a moment", () => {
    const plan = makePlan()
    plan.merged(newest, 5)
    plan.stored(own, 6)
    plan.list(0, [newest, own])
    assert.deepStrictEqual(plan.list(week + 100, [newest, object("b", 604_000n), own]), [])
  })

  it("stays when it is our own", () => {
    const plan = makePlan()
    plan.merged(own, 5)
    plan.stored(own, 6)
    assert.deepStrictEqual(gone(plan, [own]), [])
  })
})

const delta = (instance: string, from: bigint, at: bigint): StoredObject => ({
  name: SnapshotName.format({
    database: "main",
    instance,
    timestampNano: wall + at * second,
    format: "gzip",
    fromNano: wall + from * second
  }),
  size: 1,
  etag: "1"
})

const names = (deletions: ReadonlyArray<ReadonlyArray<string>>) => deletions.map(([name]) => name)

describe("Deltas", () => {
  const week = 7 * 86_400
  const [d1, d2, d3] = [delta("b", -19n, -12n), delta("b", -12n, -9n), delta("b", -9n, -5n)]
  /** A full snapshot of the state that d2 leads to, and one of ours that was stored after everything was merged. */
  const own = object("a", 20n)
  const chain = [older, d1, d2, old, d3]
  it("go when a full snapshot of their time or later was read, and those after it stay", () => {
    const plan = makePlan()
    plan.merged(old, 5)
    plan.list(0, chain)
    assert.deepStrictEqual(plan.list(600, chain), [])
    assert.deepStrictEqual(names(plan.list(601, chain)), [older.name, d1.name, d2.name])
  })

  it("stay when no full snapshot covers them, however long they were seen and whatever was merged", () => {
    const plan = makePlan()
    for (const one of [older, d1, d2, d3]) plan.merged(one, 5)
    plan.stored(own, 6)
    const objects = [older, d1, d2, d3, own]
    plan.list(0, objects)
    assert.deepStrictEqual(plan.list(10_000, objects), [])
  })

  it("that span the time of the full snapshot stay", () => {
    const plan = makePlan()
    const spanning = delta("b", -19n, -8n)
    plan.merged(old, 5)
    plan.list(0, [...chain, spanning])
    assert.notInclude(names(plan.list(601, [...chain, spanning])), spanning.name)
  })

  it("that were followed go when what covers them is in our own full snapshot, though it was not read", () => {
    const plan = makePlan()
    for (const one of [older, d1, d2]) plan.merged(one, 5)
    const objects = [...chain, own]
    plan.list(0, objects)
    assert.deepStrictEqual(plan.list(601, objects), [])
    plan.stored(own, 5)
    assert.deepStrictEqual(plan.list(602, objects), [])
    plan.stored(object("a", 21n), 6)
    assert.deepStrictEqual(plan.list(603, objects), [])
    assert.deepStrictEqual(names(plan.list(604, [...objects, object("a", 21n)])), [older.name, d1.name, d2.name])
  })

  it("of ours neither count as our full snapshot nor take its place", () => {
    const plan = makePlan()
    for (const one of [older, d1, d2]) plan.merged(one, 5)
    const stored = delta("a", 10n, 21n)
    plan.stored(stored, 6)
    plan.list(0, [...chain, own, stored])
    assert.deepStrictEqual(plan.list(601, [...chain, own, stored]), [])
    plan.stored(own, 6)
    plan.stored(stored, 7)
    assert.lengthOf(plan.list(602, [...chain, own, stored]), 3)
  })

  it("of ours tell when a full snapshot with their time began: those who follow them do not read it", () => {
    const plan = makePlan()
    const told = delta("a", 10n, 20n)
    plan.stored(told, 4)
    plan.merged(old, 5)
    plan.stored(own, 6)
    const objects = [old, told, own]
    plan.list(0, objects)
    assert.deepStrictEqual(plan.list(week + 100, objects), [[told.name, "newer snapshot"]])
    const [next, full] = [delta("a", 20n, 21n), object("a", 21n)]
    plan.stored(next, 6)
    plan.stored(full, 7)
    plan.list(week + 101, [...objects, next, full])
    assert.deepInclude(plan.list(week + 1_000, [...objects, next, full]), [old.name, "stale instance"])
  })

  it("that were merged with one missing before them prove nothing", () => {
    const plan = makePlan()
    plan.merged(older, 5)
    plan.merged(d2, 5, ["x"], [], false)
    plan.stored(own, 6)
    const objects = [older, d2, old, own]
    plan.list(0, objects)
    assert.deepStrictEqual(plan.list(601, objects), [])
  })

  it("prove nothing when our own full snapshot lacks a DBI that came with them, or with what was before them", () => {
    for (const lost of ["with them", "before them"]) {
      const plan = makePlan()
      plan.merged(older, 5, ["x", ...(lost === "before them" ? ["y"] : [])])
      plan.merged(d1, 5)
      plan.merged(d2, 5, ["x", ...(lost === "with them" ? ["y"] : [])])
      plan.stored(own, 6, ["x"])
      const objects = [...chain, own]
      plan.list(0, objects)
      assert.deepStrictEqual(plan.list(601, objects), [], lost)
    }
  })

  it("prove nothing when a DBI was dropped and came back since", () => {
    const plan = makePlan()
    for (const one of [older, d1]) plan.merged(one, 5)
    plan.merged(object("c", -1n), 5, ["x"], ["x"])
    plan.merged(d2, 5)
    plan.stored(own, 6)
    const objects = [...chain, own]
    plan.list(0, objects)
    assert.deepStrictEqual(plan.list(601, objects), [])
  })

  it("are signs of life: an instance is silent when its last delta is old, and then they go first, the latest first", () => {
    const plan = makePlan()
    const late = delta("b", -9n, 100n)
    for (const one of [old, late]) plan.merged(one, 5)
    const ours = object("a", 200n)
    plan.stored(ours, 6)
    const objects = [old, late, ours]
    plan.list(0, objects)
    assert.deepStrictEqual(plan.list(week + 99, objects), [])
    assert.deepStrictEqual(plan.list(week + 100, objects), [
      [late.name, "stale instance"],
      [old.name, "stale instance"]
    ])
  })

  it("of a silent instance stay when the last one was not merged", () => {
    const plan = makePlan()
    plan.merged(old, 5)
    plan.stored(own, 6)
    const objects = [old, d3, own]
    plan.list(0, objects)
    assert.deepStrictEqual(plan.list(week + 1_000, objects), [])
  })
})
