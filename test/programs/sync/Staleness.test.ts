/** An instance that was away for longer than tombstones are kept. Source: docs/sync.md, Long absence. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import { DatabaseError } from "../../../src/services/Database.ts"
import { LmdbError, MapFull, ReadersFull } from "../../../src/services/Lmdb.ts"
import type { SettingsValues } from "../../../src/services/Settings.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { type Bucket, epoch, makeWorld, nameOf, pass, type RunningDaemon } from "../daemon/World.ts"

const day = 86_400_000
const retentionDays = 10

/** Nanoseconds, that many days before the tests begin. */
const daysAgo = (days: number) => BigInt(epoch - days * day) * 1_000_000n
const longAgo = daysAgo(400)
const recently = daysAgo(1)

const sweeper: SettingsValues["sweeper"] = {
  ...SettingsTest.make().sweeper,
  enabled: true,
  retention_days: retentionDays
}
const on = { settings: { sweeper } }
const off = { settings: { sweeper: { ...sweeper, enabled: false } } }

const keysOf = (content: Record<string, ReadonlyArray<string>>) =>
  (content["d"] ?? []).map((line) => Buffer.from(line.split(" ")[0]!, "hex").toString())

/** Snapshots that the daemon of the test has sent: those that a test puts there are older. */
const sent = (bucket: Bucket, instance = "a") =>
  Effect.map(bucket.names, (names) =>
    names.filter((name) => name >= nameOf(instance, epoch) && name < `main__${instance}__9`)
  )

const staleMark = DbiName.fromText("_sync_stale")

const isStale = (daemon: RunningDaemon) => daemon.logged("the LMDB is stale", "Error").length > 0

describe("A stale LMDB", () => {
  it.effect("merges, but sends nothing, says what to do, and ends with 1", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["old", longAgo, "v"]] })
      yield* bucket.put("b", epoch - 1_000, { d: [["new", recently, "v"]] })
      const daemon = yield* start(on)
      yield* pass(5_000)
      assert.deepStrictEqual(keysOf(yield* content), ["new", "old"])
      // Neither a change nor the interval of forced snapshots makes a difference.
      yield* put({ d: [["changed", daysAgo(0), "v"]] })
      yield* pass(30_000)
      assert.deepStrictEqual(yield* sent(bucket), [])
      const said = daemon.logged("the LMDB is stale", "Error")
      assert.lengthOf(said, 1)
      assert.match(
        said[0]!.message,
        /nothing is sent\. Move the LMDB aside and start without it, to load from the others, or start with --accept-stale/
      )
      assert.deepStrictEqual(yield* daemon.failing, ["main_stale"])
      assert.lengthOf(daemon.logged("Initial sync complete"), 1)
      yield* daemon.stop
      assert.strictEqual(yield* daemon.exitCode, 1)
      assert.lengthOf(daemon.logged("Nothing was sent: the LMDB is stale", "Error"), 1)
      assert.deepStrictEqual(yield* sent(bucket), [])
    })
  )

  for (const reason of [new MapFull({ mapSize: 1, used: 1, needed: 2 }), new ReadersFull({ maximum: 126 })]) {
    it.effect(`is not merged into, nor ends the daemon, while it cannot be marked: ${reason._tag}`, () =>
      Effect.gen(function* () {
        const { bucket, content, put, start } = yield* makeWorld()
        yield* put({ d: [["old", longAgo, "v"]] })
        yield* bucket.put("b", epoch - 1_000, { d: [["new", recently, "v"]] })
        let isFull = true
        const failed = new DatabaseError({
          database: "main",
          operation: "mark",
          reason: new LmdbError({ path: "/there", reason })
        })
        const daemon = yield* start({
          ...on,
          database: (database) => ({
            ...database,
            markStale: (newest) => Effect.suspend(() => (isFull ? Effect.fail(failed) : database.markStale(newest)))
          })
        })
        yield* pass(20_000)
        assert.deepStrictEqual(keysOf(yield* content), ["old"])
        assert.lengthOf(daemon.logged("Cannot find out whether the LMDB is stale", "Warn"), 1)
        assert.deepStrictEqual(yield* daemon.failing, ["main_stale_mark"])
        isFull = false
        yield* pass(5_000)
        assert.lengthOf(daemon.logged("Recovered: can find out whether the LMDB is stale again", "Info"), 1)
        assert.deepStrictEqual(keysOf(yield* content), ["new", "old"])
        assert.isTrue(isStale(daemon))
        assert.deepStrictEqual(yield* sent(bucket), [])
        yield* daemon.stop
      })
    )
  }

  for (const first of ["sync", "receive"]) {
    it.effect(`stays one after the next start, when ${first} has merged what is young, until --accept-stale`, () =>
      Effect.gen(function* () {
        const { bucket, put, start } = yield* makeWorld()
        yield* put({ d: [["old", longAgo, "v"]] })
        yield* bucket.put("b", epoch - 1_000, { d: [["new", recently, "v"]] })
        const early = yield* start({ ...on, options: { receiveOnly: first === "receive" } })
        yield* pass(5_000)
        yield* early.stop
        const again = yield* start(on)
        yield* pass(5_000)
        assert.isTrue(isStale(again))
        assert.deepStrictEqual(yield* sent(bucket), [])
        yield* again.stop
        const accepting = yield* start({ ...on, options: { acceptStale: true } })
        yield* pass(5_000)
        assert.lengthOf(yield* sent(bucket), 1)
        yield* accepting.stop
        const last = yield* start(on)
        yield* pass(5_000)
        assert.isFalse(isStale(last))
        yield* last.stop
      })
    )
  }

  it.effect("under a clock that was ahead is none when the clock is right: it is sent, without a restart", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["old", recently, "v"]] })
      yield* bucket.put("b", epoch - 1_000, { d: [["new", recently, "v"]] })
      yield* bucket.put("a", epoch - 2 * day, { d: [["own", recently, "v"]] })
      let skew = 400 * day
      const daemon = yield* start({ ...on, skew: () => skew })
      yield* pass(5_000)
      assert.isTrue(isStale(daemon))
      assert.deepStrictEqual(yield* sent(bucket), [])
      skew = 0
      yield* pass(5_000)
      assert.lengthOf(daemon.logged("The LMDB is no longer stale by the current clock", "Info"), 1)
      assert.deepStrictEqual(keysOf(yield* content), ["new", "old", "own"])
      assert.isAbove((yield* sent(bucket)).length, 0)
      assert.notInclude(yield* daemon.failing, "main_stale")
      yield* daemon.stop
      assert.strictEqual(yield* daemon.exitCode, 0)
      const again = yield* start(on)
      yield* pass(5_000)
      assert.isFalse(isStale(again))
    })
  )

  it.effect("that was marked under a clock that was ahead is none at the next start under a right one", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["old", recently, "v"]] })
      yield* bucket.put("b", epoch - 1_000, { d: [["new", recently, "v"]] })
      const early = yield* start({ ...on, skew: 400 * day })
      yield* pass(5_000)
      assert.isTrue(isStale(early))
      yield* early.stop
      assert.deepStrictEqual(yield* sent(bucket), [])
      const late = yield* start(on)
      yield* pass(5_000)
      assert.isFalse(isStale(late))
      assert.lengthOf(yield* sent(bucket), 1)
    })
  )

  it.effect("stays one under a clock that is behind, and with a mark of an earlier version", () =>
    Effect.gen(function* () {
      for (const isOldMark of [false, true]) {
        const { application, bucket, put, start } = yield* makeWorld()
        yield* put({ d: [["old", isOldMark ? recently : longAgo, "v"]] })
        if (isOldMark) yield* application.write((transaction) => transaction.create(staleMark, 0))
        yield* bucket.put("b", epoch - 1_000, { d: [["new", recently, "v"]] })
        const first = yield* start(on)
        yield* pass(5_000)
        assert.isTrue(isStale(first))
        yield* first.stop
        let skew = -400 * day
        const behind = yield* start({ ...on, skew: () => skew })
        yield* pass(5_000)
        skew = 0
        yield* pass(5_000)
        assert.deepStrictEqual(yield* sent(bucket), [])
        assert.isTrue(isStale(behind))
        yield* behind.stop
        const accepting = yield* start({ ...on, options: { acceptStale: true } })
        yield* pass(5_000)
        assert.lengthOf(yield* sent(bucket), 1)
        yield* accepting.stop
      }
    })
  )

  it.effect("is not one with a forced snapshot either", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["old", longAgo, "v"]] })
      const interval = SettingsTest.make().storage_poll_interval
      const daemon = yield* start({ settings: { ...on.settings, storage_force_snapshot_interval: interval } })
      yield* pass(10_000)
      assert.isTrue(isStale(daemon))
      assert.deepStrictEqual(yield* sent(bucket), [])
    })
  )

  it.effect("ends --only-once with 1: it was not sent", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["old", longAgo, "v"]] })
      const daemon = yield* start({ ...on, options: { onlyOnce: true } })
      yield* pass(5_000)
      assert.strictEqual(yield* daemon.ended, 1)
      assert.deepStrictEqual(yield* sent(bucket), [])
    })
  )

  it.effect("is told by what it said before the first merge", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["old", longAgo, "v"]] })
      yield* bucket.put("b", epoch - 1_000, { d: [["new", recently, "v"]] })
      // Ours comes to an end after that is merged: there is one permit.
      yield* bucket.put("z", epoch - (retentionDays + 1) * day, { d: [["own", longAgo, "v"]] })
      const daemon = yield* start({
        settings: { ...on.settings, instance: "z", memory_downloaded_snapshots: 1, memory_decompressed_snapshots: 1 }
      })
      yield* pass(10_000)
      assert.isBelow(
        daemon.lines.findIndex(({ message }) => message === "Loaded remote update"),
        daemon.lines.findIndex(({ message }) => message.includes("stale"))
      )
      assert.isTrue(isStale(daemon))
      assert.deepStrictEqual(yield* sent(bucket, "z"), [])
    })
  )

  it.effect("is none when an entry is younger than the retention, a tombstone too", () =>
    Effect.gen(function* () {
      for (const value of ["v", null]) {
        const { bucket, put, start } = yield* makeWorld()
        yield* put({
          d: [
            ["old", longAgo, "v"],
            ["young", daysAgo(retentionDays - 1), value]
          ]
        })
        const daemon = yield* start(on)
        yield* pass(3_000)
        assert.isFalse(isStale(daemon))
        assert.lengthOf(yield* sent(bucket), 1)
        yield* daemon.stop
      }
    })
  )

  it.effect("is none when a snapshot of ours in the bucket is younger than the retention", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["old", longAgo, "v"]] })
      yield* bucket.put("a", epoch - (retentionDays - 1) * day, { d: [["own", longAgo, "v"]] })
      const daemon = yield* start(on)
      yield* pass(3_000)
      assert.isFalse(isStale(daemon))
      assert.lengthOf(yield* sent(bucket), 1)
      assert.deepStrictEqual(keysOf(yield* content), ["old", "own"])
    })
  )

  it.effect("is one when our newest snapshot is as old, or another instance's is young", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["old", longAgo, "v"]] })
      yield* bucket.put("a", epoch - (retentionDays + 1) * day, { d: [["own", longAgo, "v"]] })
      yield* bucket.put("b", epoch - day, { d: [["new", recently, "v"]] })
      const daemon = yield* start(on)
      yield* pass(3_000)
      assert.isTrue(isStale(daemon))
      assert.deepStrictEqual(keysOf(yield* content), ["new", "old"])
    })
  )

  it.effect("is none without any data: it loads from the others", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* bucket.put("b", epoch - day, { d: [["new", recently, "v"]] })
      const daemon = yield* start(on)
      yield* pass(3_000)
      assert.isFalse(isStale(daemon))
      assert.deepStrictEqual(keysOf(yield* content), ["new"])
      yield* put({ d: [["ours", daysAgo(0), "v"]] })
      yield* pass(3_000)
      assert.lengthOf(yield* sent(bucket), 1)
    })
  )

  it.effect("is none of receive's: it sends nothing anyway", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["old", longAgo, "v"]] })
      const daemon = yield* start({ ...on, options: { receiveOnly: true } })
      yield* pass(3_000)
      assert.isFalse(isStale(daemon))
      yield* daemon.stop
      assert.strictEqual(yield* daemon.exitCode, 0)
    })
  )
})

describe("A snapshot that is older than the retention", () => {
  it.effect("is quarantined with that reason and not even loaded: a dead instance's, and our own", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      const dead = nameOf("dead", epoch - (retentionDays + 1) * day)
      const own = nameOf("a", epoch - (retentionDays + 2) * day)
      yield* bucket.put("dead", epoch - (retentionDays + 1) * day, { d: [["deleted", longAgo, "v"]] })
      yield* bucket.put("a", epoch - (retentionDays + 2) * day, { d: [["own", longAgo, "v"]] })
      yield* bucket.put("b", epoch - (retentionDays - 1) * day, { d: [["b", recently, "v"]] })
      const daemon = yield* start(on)
      yield* pass(5_000)
      assert.deepStrictEqual(keysOf(yield* content), ["b"])
      const aside = daemon.logged("Snapshot quarantined", "Error")
      assert.deepStrictEqual(aside.map(({ fields }) => fields["snapshot_name"]).toSorted(), [own, dead])
      for (const { fields } of aside)
        assert.match(String(fields["error"]), /older than sweeper\.retention_days.*remove the object.*--accept-stale/)
      assert.deepStrictEqual(yield* bucket.callsOf("load"), [nameOf("b", epoch - (retentionDays - 1) * day)])
      assert.include(yield* daemon.failing, "main_snapshots_set_aside")
      assert.lengthOf(daemon.logged("Initial sync complete"), 1)
      assert.isUndefined(yield* daemon.ended)
    })
  )

  it.effect("under a clock that was ahead is merged when the clock is right, also our own", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      yield* bucket.put("b", epoch - day, { d: [["b", recently, "v"]] })
      yield* bucket.put("a", epoch - 2 * day, { d: [["own", recently, "v"]] })
      yield* bucket.put("dead", epoch - (retentionDays + 1) * day, { d: [["dead", longAgo, "v"]] })
      let skew = 400 * day
      const daemon = yield* start({ ...on, skew: () => skew })
      yield* pass(5_000)
      assert.deepStrictEqual(yield* content, {})
      assert.lengthOf(daemon.logged("Snapshot quarantined", "Error"), 3)
      skew = 0
      yield* pass(5_000)
      assert.deepStrictEqual(keysOf(yield* content), ["b", "own"])
      const names = [nameOf("a", epoch - 2 * day), nameOf("b", epoch - day)]
      assert.deepStrictEqual(
        daemon
          .logged("Released a snapshot that was quarantined as too old", "Info")
          .map(({ fields }) => fields["snapshot_name"])
          .toSorted(),
        names
      )
      assert.lengthOf(daemon.logged("Foreign snapshot under our instance name"), 0)
      // What is too old by the right clock, too, stays so.
      assert.include(yield* daemon.failing, "main_snapshots_set_aside")
      yield* bucket.storage.delete(nameOf("dead", epoch - (retentionDays + 1) * day))
      yield* pass(5_000)
      assert.notInclude(yield* daemon.failing, "main_snapshots_set_aside")
    })
  )

  it.effect("does not block sending when it is our own: there is nothing to wait for", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* bucket.put("a", epoch - (retentionDays + 2) * day, { d: [["own", longAgo, "v"]] })
      yield* put({ d: [["young", recently, "v"]] })
      yield* start(on)
      yield* pass(5_000)
      assert.lengthOf(yield* sent(bucket), 1)
    })
  )

  it.effect("does not take a younger one of its instance with it, nor one that comes later", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      yield* bucket.put("b", epoch - (retentionDays + 1) * day, { d: [["old", longAgo, "v"]] })
      const daemon = yield* start(on)
      yield* pass(3_000)
      assert.deepStrictEqual(yield* content, {})
      yield* bucket.put("b", epoch, { d: [["back", recently, "v"]] })
      yield* pass(3_000)
      assert.deepStrictEqual(keysOf(yield* content), ["back"])
      assert.lengthOf(daemon.logged("Snapshot quarantined"), 1)
    })
  )
  it.effect("with deltas: none of a dead instance is loaded, nor waited for; its last delta tells how old it is", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      const [dead, alive] = [epoch - (retentionDays + 1) * day, epoch - (retentionDays - 1) * day]
      yield* bucket.put("b", dead - 2_000, { d: [["b0", 1, "full"]] })
      yield* bucket.putDelta("b", dead - 2_000, dead - 1_000, { d: [["b1", 1, "d0"]] })
      yield* bucket.putDelta("b", dead - 1_000, dead, { d: [["b2", 1, "d1"]] })
      yield* bucket.put("c", dead, { d: [["c0", 1, "full"]] })
      yield* bucket.putDelta("c", dead, alive, { d: [["c1", 1, "d0"]] })
      const daemon = yield* start(on)
      yield* pass(15_000)
      assert.lengthOf((yield* content)["d"]!, 2)
      assert.deepStrictEqual(
        (yield* bucket.callsOf("load")).filter((name) => name.includes("__b__")),
        []
      )
      // The last delta, and with it those before, and the full snapshot.
      assert.lengthOf(daemon.logged("Snapshot quarantined", "Error"), 2)
      assert.lengthOf(daemon.logged("An object before a delta is missing"), 0)
    })
  )
})

describe("--accept-stale, and a sweeper that is off", () => {
  for (const [what, setup] of [
    ["--accept-stale", { ...on, options: { acceptStale: true } }],
    ["the sweeper off", off]
  ] as const) {
    it.effect(`${what}: everything is merged and sent`, () =>
      Effect.gen(function* () {
        const { bucket, content, put, start } = yield* makeWorld()
        yield* put({ d: [["old", longAgo, "v"]] })
        yield* bucket.put("a", epoch - (retentionDays + 2) * day, { d: [["own", longAgo, "v"]] })
        yield* bucket.put("dead", epoch - (retentionDays + 1) * day, { d: [["dead", longAgo, "v"]] })
        const daemon = yield* start(setup)
        yield* pass(5_000)
        assert.deepStrictEqual(keysOf(yield* content), ["dead", "old", "own"])
        assert.lengthOf(yield* sent(bucket), 1)
        assert.isFalse(isStale(daemon))
        assert.deepStrictEqual(daemon.logged("aside"), [])
        yield* daemon.stop
        assert.strictEqual(yield* daemon.exitCode, 0)
      })
    )
  }
})

describe("A deleted entry whose tombstone was swept elsewhere", () => {
  it.effect(
    "does not come back with an instance that was away: not to the others, and not to it once it has moved its LMDB aside",
    () =>
      Effect.gen(function* () {
        const away = yield* makeWorld()
        const { bucket } = away
        yield* away.put({
          d: [
            ["deleted", longAgo, "v"],
            ["kept", longAgo, "v"]
          ]
        })
        yield* bucket.put("a", epoch - 300 * day, {
          d: [
            ["deleted", longAgo, "v"],
            ["kept", longAgo, "v"]
          ]
        })
        // Deleted there long ago, and swept since.
        const there = yield* makeWorld()
        yield* there.put({
          d: [
            ["kept", longAgo, "v"],
            ["new", recently, "v"]
          ]
        })
        const others = { ...on, bucket, options: { hostname: "there" }, settings: { ...on.settings, instance: "b" } }
        const daemon = yield* there.start(others)
        yield* pass(3_000)
        const back = yield* away.start(on)
        yield* pass(10_000)
        assert.isTrue(isStale(back))
        assert.deepStrictEqual(keysOf(yield* there.content), ["kept", "new"])
        yield* back.stop
        // What the message says.
        const fresh = yield* makeWorld()
        yield* fresh.start({ ...on, bucket })
        yield* pass(10_000)
        assert.deepStrictEqual(keysOf(yield* fresh.content), ["kept", "new"])
        yield* fresh.put({ d: [["ours", daysAgo(0), "v"]] })
        yield* pass(5_000)
        assert.deepStrictEqual(keysOf(yield* there.content), ["kept", "new", "ours"])
        assert.isUndefined(yield* daemon.ended)
      })
  )
})
