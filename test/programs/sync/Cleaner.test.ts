/**
 * When a daemon cleans, and what it does when the bucket does not let it. What may go: CleanerPlan.test.ts. Source:
 * docs/sync.md, Cleaner.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import { families } from "../../../src/domain/metrics/MetricFamilies.ts"
import type { SettingsValues } from "../../../src/services/Settings.ts"
import { Refused } from "../../../src/services/Storage.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { type Bucket, epoch, makeWorld, nameOf, pass } from "../daemon/World.ts"
import { object } from "../../support/fixtures/Snapshots.ts"

const { storage } = SettingsTest.make()

const withCleanup = (overrides: Partial<typeof storage.cleanup>): Partial<SettingsValues> => ({
  storage: {
    ...storage,
    cleanup: {
      enabled: true,
      interval: Duration.seconds(10),
      must_keep_interval: Duration.seconds(20),
      remove_old_instances_interval: Duration.minutes(5),
      ...overrides
    }
  },
  // So that listings are the cleaner's, but for the first.
  storage_poll_interval: Duration.hours(1)
})

const polling = (overrides: Partial<typeof storage.cleanup> = {}) => ({
  ...withCleanup(overrides),
  storage_poll_interval: Duration.seconds(1)
})

/** Of instance b, oldest first: the newest is a second old. */
const putOld = (bucket: Bucket, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => count - index),
    (age) =>
      Effect.as(
        bucket.put("b", epoch - age * 1_000, { d: [["k", 100 - age, `${age}`]] }),
        nameOf("b", epoch - age * 1_000)
      )
  )

/** The test lists, too, but all. */
const listings = (bucket: Bucket) =>
  Effect.map(bucket.callsOf("list"), (prefixes) => prefixes.filter((prefix) => prefix === "main__").length)

const namesOf = (bucket: Bucket, instance: string) =>
  Effect.map(bucket.names, (names) => names.filter((name) => name.includes(`__${instance}__`)))

describe("Cleaning", () => {
  it.effect("is counted: listings, deletes, and what of them failed", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* putOld(bucket, 3)
      yield* bucket.faults.add({ operation: "delete" }, { kind: "fail", reason: unavailable })
      const { counted } = yield* start({ settings: withCleanup({}) })
      yield* pass(1_000)
      yield* bucket.faults.add({ operation: "list", name: "main__" }, { kind: "fail", reason: unavailable })
      yield* pass(60_000)
      const [lists, listsFailed, deletes, deletesFailed] = yield* Effect.all(
        [
          families.cleanerLists,
          families.cleanerListsFailed,
          families.cleanerDeletes,
          families.cleanerDeletesFailed
        ].map((family) => counted(family))
      )
      assert.strictEqual(lists, (yield* listings(bucket)) - 1, "but for the first, which is not the cleaner's")
      assert.deepStrictEqual([listsFailed, deletes, deletesFailed], [1, 3, 1])
    })
  )

  it.effect("is off unless it is asked for", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* putOld(bucket, 3)
      yield* start({ settings: withCleanup({ enabled: false }) })
      yield* pass(120_000)
      assert.strictEqual((yield* namesOf(bucket, "b")).length, 3)
      assert.strictEqual(yield* listings(bucket), 1)
    })
  )

  it.effect("never happens in receive mode", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* putOld(bucket, 3)
      yield* start({ settings: withCleanup({}), options: { receiveOnly: true } })
      yield* pass(120_000)
      assert.strictEqual((yield* namesOf(bucket, "b")).length, 3)
      assert.strictEqual(yield* listings(bucket), 1)
    })
  )

  it.effect(
    "deletes what a newer snapshot that was merged has replaced, once it was seen for longer than must_keep_interval, and says so",
    () =>
      Effect.gen(function* () {
        const { bucket, start } = yield* makeWorld()
        const names = yield* putOld(bucket, 3)
        yield* bucket.store("main__b__20200101-000000-000000000__GX.pb.xz", object({}))
        yield* bucket.store(nameOf("b", epoch - 9_000, "other"), object({}))
        const daemon = yield* start({ settings: withCleanup({}) })
        yield* pass(20_000)
        assert.strictEqual((yield* namesOf(bucket, "b")).length, 5)
        yield* pass(24_000)
        assert.deepStrictEqual(yield* namesOf(bucket, "b"), [
          "main__b__20200101-000000-000000000__GX.pb.xz",
          names[2],
          nameOf("b", epoch - 9_000, "other")
        ])
        assert.deepStrictEqual((yield* bucket.callsOf("delete")).toSorted(), names.slice(0, 2))
        assert.deepStrictEqual(
          daemon.logged("Deleted old snapshots").map(({ fields }) => [fields["deleted"], fields["component"]]),
          [[2, "cleaner"]]
        )
      })
  )

  it.effect("lists at once and then after 80 to 120 % of the interval", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* start({ settings: withCleanup({}) })
      const times: Array<number> = []
      for (let at = 0; at < 600_000; at += 100) {
        // One of the first two is that of the receiver.
        while (times.length < (yield* listings(bucket)) - 1) times.push(at)
        yield* pass(100)
      }
      const pauses = times.slice(1).map((at, index) => at - times[index]!)
      assert.strictEqual(times[0], 0)
      assert.isTrue(
        pauses.every((pause) => pause >= 7_900 && pause <= 12_100),
        pauses.join(" ")
      )
      assert.isAbove(new Set(pauses).size, 10)
    })
  )

  it.effect("keeps older ones as long as the newest is corrupt, and the newest with them", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* putOld(bucket, 3)
      yield* bucket.store(nameOf("b", epoch - 500), object({ d: [["k", 9, "broken"]] }).fill(0, 30, 40))
      const daemon = yield* start({ settings: polling() })
      yield* pass(600_000)
      assert.strictEqual(daemon.logged("Snapshot quarantined").length, 1)
      assert.strictEqual((yield* namesOf(bucket, "b")).length, 4)
      // The instance is well again.
      yield* bucket.put("b", epoch + 600_000, { d: [["k", 200, "good"]] })
      yield* pass(15_000)
      assert.deepStrictEqual(yield* namesOf(bucket, "b"), [nameOf("b", epoch - 500), nameOf("b", epoch + 600_000)])
      yield* pass(35_000)
      assert.deepStrictEqual(yield* namesOf(bucket, "b"), [nameOf("b", epoch + 600_000)])
    })
  )

  it.effect(
    "deletes the last snapshot of a silent instance after we have stored one that began after its merge, and not before",
    () =>
      Effect.gen(function* () {
        const { bucket, put, start } = yield* makeWorld()
        yield* put({ d: [["mine", 5, "v"]] })
        yield* start({ settings: polling() })
        yield* pass(5_000)
        yield* bucket.put("b", epoch + 5_000, { d: [["theirs", 7, "v"]] })
        yield* pass(400_000)
        assert.strictEqual((yield* namesOf(bucket, "b")).length, 1)
        yield* put({ d: [["mine", 9, "changed"]] })
        yield* pass(40_000)
        assert.deepStrictEqual(yield* namesOf(bucket, "b"), [])
        assert.strictEqual((yield* namesOf(bucket, "a")).length, 1)
      })
  )

  it.effect(
    "keeps the last snapshot of a silent instance when the application has dropped a DBI of it, also when that comes back from elsewhere",
    () =>
      Effect.gen(function* () {
        const { application, bucket, put, start } = yield* makeWorld()
        yield* put({ d: [["mine", 5, "v"]] })
        yield* start({ settings: polling() })
        yield* bucket.put("b", epoch + 1, { d: [["theirs", 7, "v"]], gone: [["k", 7, "v"]] })
        yield* pass(5_000)
        yield* application.write((transaction) => transaction.drop(DbiName.fromText("gone")))
        yield* put({ d: [["mine", 9, "changed"]] })
        yield* pass(400_000)
        assert.strictEqual((yield* namesOf(bucket, "b")).length, 1)
        yield* bucket.put("c", epoch + 400_000, { gone: [["other", 7, "v"]] })
        yield* pass(5_000)
        yield* put({ d: [["mine", 10, "changed"]] })
        yield* pass(400_000)
        assert.deepStrictEqual([(yield* namesOf(bucket, "b")).length, (yield* namesOf(bucket, "c")).length], [1, 0])
      })
  )
})

describe("Cleaning with a bucket that refuses", () => {
  const refused = new Refused({ code: "AccessDenied", detail: "injected", advice: "check the permissions" })

  it.effect("a delete that fails is logged once and tried again; the others are deleted", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      const names = yield* putOld(bucket, 4)
      yield* bucket.faults.add({ operation: "delete", name: names[0]!, times: 3 }, { kind: "fail", reason: refused })
      const daemon = yield* start({ settings: withCleanup({}) })
      yield* pass(45_000)
      assert.deepStrictEqual(yield* namesOf(bucket, "b"), [names[0], names[3]])
      assert.strictEqual(daemon.logged("Cannot clean", "Warn").length, 1)
      yield* pass(40_000)
      assert.deepStrictEqual(yield* namesOf(bucket, "b"), [names[3]])
      assert.strictEqual(daemon.logged("Cannot clean").length, 1)
      assert.isUndefined(yield* daemon.ended)
    })
  )

  it.effect("a store that is not well is left alone until the next time", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* putOld(bucket, 20)
      yield* bucket.faults.add({ operation: "delete", times: Infinity }, { kind: "fail", reason: unavailable })
      const daemon = yield* start({ settings: withCleanup({}) })
      yield* pass(33_000)
      const first = (yield* bucket.callsOf("delete")).length
      assert.strictEqual(first % 3, 0)
      assert.isAbove(first, 0)
      assert.isBelow(first, 10)
      yield* bucket.faults.clear
      yield* pass(15_000)
      assert.strictEqual((yield* namesOf(bucket, "b")).length, 1)
      assert.strictEqual(daemon.logged("Cannot clean").length, 1)
    })
  )

  it.effect("a listing that fails deletes nothing and ends nothing", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      const names = yield* putOld(bucket, 3)
      const daemon = yield* start({ settings: withCleanup({}) })
      yield* pass(1_000)
      yield* bucket.faults.add({ operation: "list", name: "main__", times: 10 }, { kind: "fail", reason: unavailable })
      yield* pass(60_000)
      assert.strictEqual((yield* namesOf(bucket, "b")).length, 3)
      yield* pass(140_000)
      assert.deepStrictEqual(yield* namesOf(bucket, "b"), [names[2]])
      assert.strictEqual(daemon.logged("Cannot clean").length, 1)
    })
  )

  it.effect("a restart forgets what was seen: nothing is deleted sooner after it", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* putOld(bucket, 3)
      for (let life = 0; life < 5; life++) {
        const daemon = yield* start({ settings: withCleanup({}) })
        yield* pass(18_000)
        yield* daemon.stop
      }
      assert.strictEqual((yield* namesOf(bucket, "b")).length, 3)
    })
  )
})
