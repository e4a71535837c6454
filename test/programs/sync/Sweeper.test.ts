/** The sweeper as a loop of the daemon, on virtual time, and the load cut-off that goes with it. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { families } from "../../../src/domain/metrics/MetricFamilies.ts"
import * as TombstoneRetention from "../../../src/programs/sync/TombstoneRetention.ts"
import { DatabaseError } from "../../../src/services/Database.ts"
import { LmdbError, MapFull } from "../../../src/services/Lmdb.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { epoch, makeWorld, pass } from "../daemon/World.ts"

const { sweeper } = SettingsTest.make()
const day = 86_400_000

/** Nanoseconds. */
const at = (millis: number) => BigInt(millis) * 1_000_000n

/** Tombstones a day old go; first after 10 s, then every minute. */
const swept = {
  ...sweeper,
  enabled: true,
  retention_days: 1,
  first_interval: Duration.seconds(10),
  interval: Duration.minutes(1)
}

const completed = "Sweep for stale deleted entries completed"

/** The load cut-off: how many hours before now. `hours`: as configured. */
const ageOf = (hours: number, enabled = true) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(epoch)
    const limit = yield* TombstoneRetention.cutOff
    return limit === undefined ? undefined : Number((at(epoch) - limit) / 1_000_000n) / 3_600_000
  }).pipe(
    Effect.provide(
      SettingsTest.layerWith({
        sweeper: {
          ...sweeper,
          enabled,
          retention_days: 100 / 24,
          retention_load_cutoff_duration: Duration.hours(hours)
        }
      })
    )
  )

describe("Sweep", () => {
  it.effect(
    "first after first_interval, then every interval: tombstones older than the retention go, and no snapshot is sent for that",
    () =>
      Effect.gen(function* () {
        const { bucket, content, lastId, put, start } = yield* makeWorld()
        yield* put({
          d: [
            ["old", at(epoch - day - 1), null],
            ["old-live", at(epoch - 2 * day), "v"],
            ["young", at(epoch), "v"],
            ["young-gone", at(epoch - day + 30_000), null]
          ]
        })
        const daemon = yield* start({ settings: { sweeper: swept } })
        yield* pass(9_000)
        assert.strictEqual((yield* content)["d"]!.length, 4)
        assert.strictEqual(yield* daemon.counted(families.sweeperAvailable), 0)
        const sent = (yield* bucket.callsOf("store")).length
        assert.strictEqual(sent, 1)
        yield* pass(2_000)
        assert.deepStrictEqual(
          (yield* content)["d"]!.map((line) => line.split(" ")[0]),
          ["6f6c642d6c697665", "796f756e67", "796f756e672d676f6e65"]
        )
        assert.deepInclude(daemon.logged(completed)[0]!.fields, {
          component: "sweeper",
          db: "main",
          total_entries: 4,
          deleted_entries: 2,
          deleted_fraction: 0.5,
          cleaned_entries: 1,
          transactions: 1
        })
        const counted = (family: Parameters<typeof daemon.counted>[0]) => daemon.counted(family, { lmdb: "main" })
        assert.deepStrictEqual(
          yield* Effect.all(
            [
              families.sweeperAvailable,
              families.sweeperEntries,
              families.sweeperDeleted,
              families.sweeperCleaned,
              families.sweeperDuration
            ].map(counted)
          ),
          [1, 3, 1, 1, 1]
        )
        const id = yield* lastId
        yield* pass(58_000)
        assert.strictEqual(daemon.logged(completed).length, 1)
        yield* pass(2_000)
        assert.strictEqual(daemon.logged(completed).length, 2)
        assert.strictEqual((yield* content)["d"]!.length, 2)
        assert.strictEqual(yield* lastId, id + 1n)
        yield* pass(60_000)
        assert.deepInclude(daemon.logged(completed)[2]!.fields, {
          total_entries: 2,
          cleaned_entries: 0,
          transactions: 0
        })
        assert.strictEqual((yield* bucket.callsOf("store")).length, sent)
        // A change of the application's is sent, without what was swept.
        yield* put({ d: [["new", at(epoch), "v"]] })
        yield* pass(2_000)
        assert.strictEqual((yield* bucket.callsOf("store")).length, sent + 1)
      })
  )

  it.effect("also in receive mode; never when it is off", () =>
    Effect.gen(function* () {
      for (const enabled of [true, false]) {
        const { content, put, start } = yield* makeWorld()
        yield* put({ d: [["old", at(epoch - 2 * day), null]] })
        const daemon = yield* start({ settings: { sweeper: { ...swept, enabled } }, options: { receiveOnly: true } })
        yield* pass(80_000)
        assert.deepStrictEqual(yield* content, { d: enabled ? [] : [`6f6c64 ${at(epoch - 2 * day)} deleted`] })
        assert.strictEqual(daemon.logged(completed).length, enabled ? 2 : 0)
        yield* daemon.kill
      }
    })
  )

  it.effect("an error ends the sweep, not the daemon: the next one comes after the interval", () =>
    Effect.gen(function* () {
      const { content, put, start } = yield* makeWorld()
      yield* put({
        d: [
          ["old", at(epoch - 2 * day), null],
          ["young", at(epoch), "v"]
        ]
      })
      let left = 2
      const reason = new LmdbError({ path: "/memory/main", reason: new MapFull({ mapSize: 1, used: 1, needed: 2 }) })
      const daemon = yield* start({
        settings: { sweeper: swept },
        database: (database) => ({
          ...database,
          sweep: (request) =>
            Effect.suspend(() =>
              left-- > 0
                ? Effect.fail(new DatabaseError({ database: "main", operation: "sweep", reason }))
                : database.sweep(request)
            )
        })
      })
      yield* pass(75_000)
      assert.strictEqual(daemon.logged("Sweep failed", "Error").length, 2)
      assert.strictEqual(yield* daemon.counted(families.sweeperFailed), 2)
      assert.strictEqual((yield* content)["d"]!.length, 2)
      yield* pass(60_000)
      assert.strictEqual(daemon.logged(completed).length, 1)
      assert.strictEqual((yield* content)["d"]!.length, 1)
      assert.isUndefined(yield* daemon.ended)
    })
  )

  it.effect("it is told the settings, and the end of the daemon ends it", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["young", at(epoch), "v"]] })
      const asked: Array<unknown> = []
      let isInterrupted = false
      const daemon = yield* start({
        settings: { sweeper: { ...swept, lock_duration: Duration.millis(7), release_duration: Duration.millis(9) } },
        database: (database) => ({
          ...database,
          sweep: (request) => {
            asked.push(request)
            return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (isInterrupted = true)))
          }
        })
      })
      yield* pass(200_000)
      assert.deepStrictEqual(asked, [{ olderThanNano: at(epoch + 10_000 - day), lockMillis: 7, releaseMillis: 9 }])
      yield* daemon.stop
      assert.strictEqual(yield* daemon.exitCode, 0)
      assert.isTrue(isInterrupted)
    })
  )

  describe("the load cut-off", () => {
    it.effect("is 1 % of the retention earlier, or what is configured, at most 75 %; none with the sweeper off", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(
          yield* Effect.forEach([0, 10, 74, 75, 76, 1_000], (hours) => ageOf(hours)),
          [99, 90, 26, 25, 25, 25]
        )
        assert.isUndefined(yield* ageOf(0, false))
      })
    )

    it.effect("tombstones of snapshots that are older are not added", () =>
      Effect.gen(function* () {
        const { bucket, content, put, start } = yield* makeWorld()
        yield* put({ d: [["live", at(epoch - 1_000), "v"]] })
        const limit = epoch - 0.99 * day
        yield* bucket.put("b", epoch - 1_000, {
          d: [
            ["just", at(limit + 60_000), null],
            ["older", at(limit - 1), null],
            ["value", at(limit - day), "v"]
          ]
        })
        yield* start({ settings: { sweeper: swept } })
        yield* pass(3_000)
        assert.deepStrictEqual(
          (yield* content)["d"]!.map((line) => Buffer.from(line.split(" ")[0]!, "hex").toString()),
          ["just", "live", "value"]
        )
      })
    )
  })
})
