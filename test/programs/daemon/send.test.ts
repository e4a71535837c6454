/** When a daemon sends, and what it does when the store fails. Source: docs/sync.md, Sending and Failing storage. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Stream } from "effect"
import { gunzipSync } from "node:zlib"
import * as SnapshotName from "../../../src/domain/snapshot/SnapshotName.ts"
import { DatabaseError } from "../../../src/services/Database.ts"
import { SpoolError } from "../../../src/services/Spool.ts"
import { Refused } from "../../../src/services/Storage.ts"
import { decode } from "../../support/fixtures/DecodedSnapshot.ts"
import * as SettingsTest from "../../support/fixtures/SettingsTest.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { hooked } from "../../support/fakes/HookedLmdb.ts"
import { contentOf, mergeSnapshot, shown } from "../../support/fixtures/LastWriteWins.ts"
import { type Bucket, epoch, makeWorld, nameOf, pass } from "./World.ts"

const stores = (bucket: Bucket) =>
  Effect.map(bucket.callsOf("store"), (names) => names.filter((name) => name.includes("__a__")))

const timesOf = (names: ReadonlyArray<string>) =>
  names.map((name) => Number(SnapshotName.parse(name)!.timestampNano / 1_000_000n) - epoch)

const contentIn = Effect.fnUntraced(function* ({ storage }: Bucket, name: string) {
  const message = gunzipSync(Buffer.concat(yield* Stream.runCollect(storage.load(name))))
  return shown(mergeSnapshot(contentOf([]), decode(message)))
})

const shortInterval = { storage_force_snapshot_interval: Duration.minutes(1) }

describe("Sending", () => {
  it.effect("a change of the application is sent at the next poll, once; what merges write is not", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* start()
      yield* pass(3_000)
      yield* put({ d: [["k", 6, "changed"]] })
      yield* pass(3_000)
      assert.strictEqual((yield* stores(bucket)).length, 2)
      yield* bucket.put("b", epoch + 6_000, {
        d: [
          ["k", 7, "theirs"],
          ["l", 1, "theirs"]
        ]
      })
      yield* pass(5_000)
      assert.strictEqual((yield* stores(bucket)).length, 2)
      // What came from others goes along with the next one.
      yield* put({ d: [["m", 8, "v"]] })
      yield* pass(1_500)
      const all = yield* stores(bucket)
      assert.strictEqual(all.length, 3)
      assert.strictEqual((yield* contentIn(bucket, all[2]!))["d"]!.length, 3)
    })
  )

  it.effect("a change in the moment of a merge is sent", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* start()
      yield* pass(3_000)
      for (let round = 0; round < 5; round++) {
        yield* bucket.put("b", epoch + 4_000 + round, { d: [[`theirs-${round}`, 7, "v"]] })
        yield* pass(900)
        yield* put({ d: [[`mine-${round}`, 8, "v"]] })
        yield* pass(200)
      }
      yield* pass(2_000)
      assert.deepStrictEqual(yield* contentIn(bucket, (yield* stores(bucket)).at(-1)!), yield* content)
    })
  )

  it.effect("without a change a snapshot is sent when nothing was stored for storage_force_snapshot_interval", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* start({ settings: shortInterval })
      yield* pass(200_000)
      const names = yield* stores(bucket)
      const fulls = names.filter((name) => SnapshotName.parse(name)!.kind === "snapshot")
      assert.deepStrictEqual(timesOf(fulls), [0, 60_000, 120_000, 180_000])
      // Whoever follows the deltas has nothing to download.
      assert.deepStrictEqual(timesOf(names), [0, 60_000, 60_000, 120_000, 120_000, 180_000, 180_000])
    })
  )

  it.effect("never by force: of an LMDB that never had data, or when receiving only", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      const daemon = yield* start({ settings: shortInterval })
      yield* pass(130_000)
      assert.deepStrictEqual(yield* stores(bucket), [])
      yield* daemon.stop
      yield* put({ d: [["k", 5, "v"]] })
      yield* start({ settings: shortInterval, options: { receiveOnly: true } })
      yield* pass(130_000)
      assert.deepStrictEqual(yield* stores(bucket), [])
    })
  )

  it.effect("an LMDB that only merges filled is sent by force, not before", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* bucket.put("b", epoch - 5_000, { d: [["k", 5, "v"]] })
      yield* start({ settings: shortInterval })
      yield* pass(59_000)
      assert.deepStrictEqual(yield* stores(bucket), [])
      yield* pass(3_000)
      assert.strictEqual((yield* stores(bucket)).length, 1)
    })
  )

  it.effect("a snapshot is later than our newest, whatever the clock says", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.put("a", epoch + 3_600_000, { d: [["k", 4, "v"]] })
      const daemon = yield* start()
      yield* pass(2_000)
      yield* put({ d: [["k", 6, "v"]] })
      yield* pass(2_000)
      const sent = (yield* stores(bucket))
        .slice(1)
        .map((name) => SnapshotName.parse(name)!.timestampNano - BigInt(epoch + 3_600_000) * 1_000_000n)
      assert.deepStrictEqual(sent, [1n, 2n])
      assert.isAtLeast(daemon.logged("The clock is behind", "Warn").length, 1)
    })
  )
})

describe("A dump that fails", () => {
  it.effect("because the spool's disk is full is tried again until it works, and logged once", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      let full = true
      const reason = new SpoolError({ operation: "write", directory: "/spool", code: "ENOSPC" })
      const daemon = yield* start({
        database: (database) => ({
          ...database,
          dump: (request) =>
            Effect.suspend(() =>
              full ? new DatabaseError({ database: "main", operation: "dump", reason }) : database.dump(request)
            )
        })
      })
      yield* pass(30_000)
      assert.isUndefined(yield* daemon.ended)
      assert.strictEqual(daemon.logged("Cannot make a snapshot", "Error").length, 1)
      assert.include(
        String(daemon.logged("Cannot make a snapshot")[0]!.fields["error"]),
        "free space there, or set spool_directory"
      )
      assert.deepStrictEqual(yield* daemon.failing, ["main_dump"])
      full = false
      yield* pass(6_000)
      assert.strictEqual((yield* stores(bucket)).length, 1)
      assert.deepStrictEqual(yield* daemon.failing, [])
    })
  )
})

describe("A store that fails", () => {
  it.effect("is retried with growing pauses, logged once, and gives up after storage_retry_count with the cause", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.faults.add({ operation: "store", times: Infinity }, { kind: "fail", reason: unavailable })
      const daemon = yield* start({ settings: { storage_retry_count: 4 } })
      // 5, 10 and 20 s, less up to a quarter.
      yield* pass(26_000)
      assert.isUndefined(yield* daemon.ended)
      assert.strictEqual((yield* stores(bucket)).length, 3)
      assert.strictEqual(daemon.logged("Cannot store a snapshot").length, 1)
      assert.include(yield* daemon.failing, "main_storage_store")
      yield* pass(9_500)
      const ending = daemon.logged("Fatal error", "Error")
      assert.strictEqual(ending.length, 1)
      assert.include(String(ending[0]!.fields["error"]), "failed 4 times in a row (storage_retry_count)")
      assert.include(String(ending[0]!.fields["error"]), "ECONNRESET")
      yield* pass(8_000)
      assert.strictEqual(yield* daemon.ended, 1)
      assert.strictEqual(daemon.logged("Pending changes were not sent", "Error").length, 1)
    })
  )

  it.effect("only attempts in a row count", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      const daemon = yield* start({ settings: { storage_retry_count: 3 } })
      for (let round = 0; round < 3; round++) {
        yield* bucket.faults.add({ operation: "store", times: 2 }, { kind: "fail", reason: unavailable })
        yield* put({ d: [["k", 5 + round, "v"]] })
        yield* pass(20_000)
      }
      assert.isUndefined(yield* daemon.ended)
      assert.strictEqual((yield* bucket.names).length, 3)
      assert.strictEqual(daemon.logged("Cannot store a snapshot").length, 3, "each outage once")
      assert.strictEqual(daemon.logged("Recovered: can store a snapshot again").length, 3)
    })
  )

  it.effect("with storage_retry_forever it never gives up; a refusal is an error at once, with what to check", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      const reason = new Refused({ code: "AccessDenied", detail: "no", advice: "check the keys" })
      yield* bucket.faults.add({ operation: "store", times: Infinity }, { kind: "fail", reason })
      const daemon = yield* start({ settings: { storage_retry_count: 2, storage_retry_forever: true } })
      yield* pass(300_000)
      assert.isUndefined(yield* daemon.ended)
      const logged = daemon.logged("Cannot store a snapshot", "Error")
      assert.strictEqual(logged.length, 1)
      assert.include(String(logged[0]!.fields["error"]), "check the keys")
      // Pauses of at most a minute.
      assert.isAtLeast((yield* stores(bucket)).length, 7)
      yield* bucket.faults.clear
      yield* pass(61_000)
      assert.strictEqual((yield* bucket.names).length, 1)
    })
  )

  it.effect("that is retried sends the newest state, not the stale one", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.faults.add({ operation: "store", times: 3 }, { kind: "fail", reason: unavailable })
      yield* start()
      yield* pass(1_000)
      yield* put({ d: [["k", 6, "newer"]] })
      yield* pass(60_000)
      const names = yield* bucket.names
      assert.strictEqual(names.length, 1)
      assert.deepStrictEqual(yield* contentIn(bucket, names[0]!), yield* content)
      // Without a change the same object is tried again.
      assert.strictEqual(new Set(yield* stores(bucket)).size, 2)
    })
  )

  it.effect("does not hold up merges, and the other way round", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      const broken = nameOf("b", epoch - 2_000)
      yield* bucket.faults.add({ operation: "store", name: /__a__/, times: 6 }, { kind: "fail", reason: unavailable })
      yield* bucket.faults.add(
        { operation: "load", name: broken, times: Infinity },
        { kind: "fail", reason: unavailable }
      )
      yield* bucket.put("b", epoch - 2_000, { d: [["broken", 5, "v"]] })
      yield* bucket.put("c", epoch - 2_000, { d: [["theirs", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(5_000)
      assert.strictEqual((yield* content)["d"]!.length, 2)
      yield* pass(250_000)
      assert.strictEqual((yield* bucket.names).filter((name) => name.includes("__a__")).length, 1)
      assert.strictEqual(daemon.logged("Cannot load a snapshot").length, 1)
    })
  )
})

describe("Many merges in a row", () => {
  for (const schema_tracks_changes of [true, false]) {
    it.effect(
      `let a pending snapshot of ours go before 10 of them are done, ${schema_tracks_changes ? "native" : "shadow"} mode`,
      () =>
        Effect.gen(function* () {
          const { bucket, put, start } = yield* makeWorld()
          yield* put({ d: [["k", 5, "v"]] })
          const lmdbs = { main: { ...SettingsTest.make().lmdbs["main"]!, schema_tracks_changes } }
          // Merges and dumps take their time.
          const daemon = yield* start({
            settings: { lmdbs },
            lmdb: (lmdb) => hooked(lmdb, { beforeRead: Effect.sleep("200 millis") })
          })
          yield* pass(5_000)
          const theirs = Array.from({ length: 40 }, (_, i) => `i${i}`)
          for (const instance of theirs) yield* bucket.put(instance, epoch, { d: [[instance, 5, "v"]] })
          yield* pass(2_000)
          const mergesAt = (stored: number) => {
            const [line] = daemon.logged("Stored snapshot").slice(stored)
            return daemon.lines
              .slice(0, line && daemon.lines.indexOf(line))
              .filter(({ message }) => message === "Loaded remote update").length
          }
          const before = mergesAt(1)
          assert.isAbove(before, 0)
          yield* put({ d: [["k", 6, "pending"]] })
          yield* pass(40_000)
          assert.lengthOf(daemon.logged("Loaded remote update"), theirs.length)
          assert.lengthOf(daemon.logged("Stored snapshot"), 2)
          assert.isAtMost(mergesAt(1) - before, 10)
        })
    )
  }
})
