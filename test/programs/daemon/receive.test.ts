/** What a daemon does with the snapshots of others. Source: docs/sync.md, Receiving. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { DatabaseError } from "../../../src/services/Database.ts"
import { LmdbError, ReadersFull } from "../../../src/services/Lmdb.ts"
import { object, objectOf, snapshot } from "../../support/fixtures/Snapshots.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { type Bucket, epoch, makeWorld, nameOf, pass } from "./World.ts"

const loadsOf = (bucket: Bucket, name: string) =>
  Effect.map(bucket.callsOf("load"), (names) => names.filter((each) => each === name).length)

const refusedObject = objectOf({ ...snapshot({ d: [["k", 1, "v"]] }), compatVersion: 4 })

describe("Receiving", () => {
  it.effect("only the newest of each instance is loaded, and each once", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      for (const instance of ["b", "c"]) {
        for (let age = 1; age <= 5; age++)
          yield* bucket.put(instance, epoch - age * 1_000, { d: [[instance, 100 - age, `${age}`]] })
      }
      const daemon = yield* start()
      yield* pass(5_000)
      assert.deepStrictEqual((yield* bucket.callsOf("load")).toSorted(), [
        nameOf("b", epoch - 1_000),
        nameOf("c", epoch - 1_000)
      ])
      assert.deepStrictEqual((yield* content)["d"]!.length, 2)
      yield* bucket.put("b", epoch + 5_000, { d: [["b", 200, "new"]] })
      yield* pass(3_000)
      assert.strictEqual((yield* bucket.callsOf("load")).length, 3)
      assert.strictEqual(daemon.logged("Loaded remote update").length, 3)
    })
  )

  it.effect("a corrupt snapshot is loaded twice, quarantined and reported once; the next-newest is used", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      const broken = nameOf("b", epoch - 1_000)
      yield* bucket.store(broken, object({ d: [["k", 9, "broken"]] }).fill(0, 30, 40))
      yield* bucket.put("b", epoch - 2_000, { d: [["k", 8, "next-newest"]] })
      const daemon = yield* start()
      yield* pass(10_000)
      assert.strictEqual(yield* loadsOf(bucket, broken), 2)
      assert.include((yield* content)["d"]![0]!, Buffer.from("next-newest").toString("hex"))
      assert.strictEqual(daemon.logged("Snapshot quarantined", "Error").length, 1)
      assert.deepStrictEqual(yield* daemon.failing, ["main_snapshots_set_aside"])
      assert.isUndefined(yield* daemon.ended)
      yield* bucket.storage.delete(broken)
      yield* pass(2_000)
      assert.deepStrictEqual(yield* daemon.failing, [])
    })
  )

  it.effect("a download that was broken once is no corrupt snapshot", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      yield* bucket.faults.add({ operation: "load" }, { kind: "flip", byte: 25, bit: 3 })
      yield* bucket.put("b", epoch - 1_000, { d: [["k", 9, "v"]] })
      const daemon = yield* start()
      yield* pass(3_000)
      assert.strictEqual((yield* content)["d"]!.length, 1)
      assert.deepStrictEqual(daemon.logged("aside"), [])
    })
  )

  it.effect("a refused snapshot is quarantined at once, and taken when it was replaced by a good one", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      const name = nameOf("b", epoch - 1_000)
      yield* bucket.store(name, refusedObject)
      const daemon = yield* start()
      yield* pass(10_000)
      assert.strictEqual(yield* loadsOf(bucket, name), 1)
      assert.strictEqual(daemon.logged("Snapshot quarantined", "Error").length, 1)
      yield* bucket.store(name, object({ d: [["k", 9, "good"]] }))
      yield* pass(2_000)
      assert.strictEqual((yield* content)["d"]!.length, 1)
      assert.deepStrictEqual(yield* daemon.failing, [])
    })
  )

  it.effect("an object that vanishes between list and load is passed over", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      const gone = nameOf("b", epoch - 1_000)
      yield* bucket.put("b", epoch - 2_000, { d: [["k", 8, "older"]] })
      yield* bucket.faults.add({ operation: "list", times: 1 }, { kind: "list shows", name: gone, size: 3 })
      const daemon = yield* start()
      yield* pass(3_000)
      assert.strictEqual((yield* content)["d"]!.length, 1)
      assert.deepStrictEqual(
        daemon.lines.filter(({ level, message }) => ["Error", "Warn"].includes(level) && !message.includes("is new")),
        []
      )
    })
  )

  it.effect("a load that fails is tried again with the newest name, logged once, also beside others that work", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      const broken = nameOf("b", epoch - 1_000)
      yield* bucket.put("b", epoch - 1_000, { d: [["k", 8, "old"]] })
      yield* bucket.faults.add({ operation: "load", name: broken, times: Infinity }, { kind: "cut", bytes: 20 })
      const daemon = yield* start()
      for (let round = 0; round < 6; round++) {
        yield* bucket.put("c", epoch + round * 5_000, { d: [["c", round, "v"]] })
        yield* pass(5_000)
      }
      assert.isAtMost(yield* loadsOf(bucket, broken), 7)
      assert.strictEqual(daemon.logged("Cannot load a snapshot").length, 1)
      assert.deepStrictEqual(daemon.logged("Recovered: can load a snapshot again"), [])
      assert.deepStrictEqual(yield* daemon.failing, ["main_storage_load"])
      yield* bucket.put("b", epoch + 40_000, { d: [["k", 9, "newest"]] })
      yield* pass(6_000)
      assert.include((yield* content)["d"]![1]!, Buffer.from("newest").toString("hex"))
      assert.strictEqual(daemon.logged("Recovered: can load a snapshot again").length, 1)
      assert.deepStrictEqual(yield* daemon.failing, [])
    })
  )

  it.effect("a snapshot under our name that we did not write is merged and warned about, once", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(2_000)
      yield* bucket.faults.add({ operation: "load", times: 2 }, { kind: "fail", reason: unavailable })
      yield* bucket.put("a", epoch + 2_500, { d: [["twin", 6, "v"]] })
      yield* pass(15_000)
      assert.strictEqual((yield* content)["d"]!.length, 2)
      assert.strictEqual(daemon.logged("Foreign snapshot under our instance name", "Warn").length, 1)
      // Our own are not.
      yield* put({ d: [["l", 5, "v"]] })
      yield* pass(5_000)
      assert.strictEqual(daemon.logged("used twice").length, 1)
      assert.deepStrictEqual(new Set(yield* bucket.callsOf("load")), new Set([nameOf("a", epoch + 2_500)]))
    })
  )

  it.effect("what a snapshot under our name has added is sent, once: our own newer one hides it from the others", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      const ours = Effect.map(bucket.callsOf("store"), (names) => names.filter((name) => /__a__/.test(name)).length)
      yield* put({ d: [["k", 5, "v"]] })
      yield* start()
      yield* pass(2_000)
      const before = yield* ours
      yield* bucket.put("a", epoch + 2_500, { d: [["twin", 6, "v"]] })
      yield* pass(10_000)
      // One more is the test's own.
      assert.strictEqual(yield* ours, before + 2)
      // This one says nothing new.
      yield* bucket.put("a", epoch + 60_000, {
        d: [
          ["twin", 6, "v"],
          ["k", 5, "v"]
        ]
      })
      yield* pass(10_000)
      assert.strictEqual(yield* ours, before + 3)
    })
  )

  it.effect("lines tell the database, the instance, the component, and the short hash of the snapshot", () =>
    Effect.gen(function* () {
      const { bucket, start } = yield* makeWorld()
      yield* bucket.faults.add({ operation: "list" }, { kind: "fail", reason: unavailable })
      yield* bucket.put("b", epoch - 1_000, { d: [["k", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(5_000)
      const [listed] = daemon.logged("Cannot list snapshots")
      assert.strictEqual(listed!.fields["component"], "receiver")
      const [downloaded] = daemon.logged("Snapshot downloaded")
      const [loaded] = daemon.logged("Loaded remote update")
      assert.strictEqual(downloaded!.fields["component"], "downloader")
      assert.strictEqual(loaded!.fields["kind"], "snapshot")
      assert.isTrue(Duration.isDuration(downloaded!.fields["time_load_total"]))
      // SHA-256 of "b-20251231-235959-000000000".
      for (const { fields } of [downloaded!, loaded!]) assert.strictEqual(fields["shorthash"], "a825e9c")
      for (const { fields } of daemon.lines) assert.deepStrictEqual([fields["db"], fields["instance"]], ["main", "a"])
    })
  )

  it.effect("a snapshot ahead of our clock is merged, and warned about once per instance", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      yield* bucket.put("b", epoch + 60_000, { d: [["b", 5, "v"]] })
      yield* bucket.put("c", epoch + 9_000, { d: [["c", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(3_000)
      yield* bucket.put("b", epoch + 90_000, { d: [["b", 6, "v"]] })
      yield* pass(3_000)
      assert.strictEqual((yield* content)["d"]!.length, 2)
      const warnings = daemon.logged("ahead of our clock", "Warn")
      assert.deepStrictEqual(
        warnings.map(({ fields }) => [fields["snapshot_instance"], fields["ahead_seconds"]]),
        [["b", 60]]
      )
    })
  )

  it.effect(
    "when a snapshot with the future in its name was merged and removed, the ones that its instance writes with the right clock are merged",
    () =>
      Effect.gen(function* () {
        const { bucket, content, start } = yield* makeWorld()
        const future = nameOf("b", epoch + 86_400_000)
        yield* bucket.put("b", epoch + 86_400_000, { d: [["k", 1, "before"]] })
        yield* start()
        yield* pass(2_000)
        yield* bucket.storage.delete(future)
        yield* bucket.put("b", epoch, { d: [["k", 2, "after"]] })
        yield* pass(2_000)
        assert.include((yield* content)["d"]![0]!, Buffer.from("after").toString("hex"))
        yield* pass(10_000)
        assert.strictEqual((yield* bucket.callsOf("load")).length, 2)
      })
  )

  it.effect("objects that are no snapshots of this database are left alone", () =>
    Effect.gen(function* () {
      const { bucket, content, start } = yield* makeWorld()
      for (const name of [
        "main__b",
        "main__b__x__GX.pb.gz",
        "main__b__20260101-000000-000000000__GX.tmp",
        "main2__b__20260101-000000-000000000__GX.pb.gz",
        "other"
      ]) {
        yield* bucket.store(name, Buffer.from("nothing of ours"))
      }
      yield* bucket.put("b", epoch, { d: [["other", 1, "v"]] }, "main__x")
      const daemon = yield* start()
      yield* pass(3_000)
      assert.deepStrictEqual(yield* bucket.callsOf("load"), [])
      assert.deepStrictEqual(yield* content, {})
      assert.strictEqual(daemon.logged("Initial sync complete").length, 1)
    })
  )
})

describe("A full map", () => {
  const large = { d: Array.from({ length: 40 }, (_, i) => [`k${i}`, 5, "x".repeat(2_000)] as const) }

  it.effect("is waited for: nothing is lost or quarantined, and it is tried again when the LMDB has changed", () =>
    Effect.gen(function* () {
      const { application, bucket, content, put, start } = yield* makeWorld({ mapSize: 100_000 })
      yield* put({ filler: [["f", 5, "y".repeat(40_000)]] })
      const name = nameOf("b", epoch - 1_000)
      yield* bucket.put("b", epoch - 1_000, large)
      yield* bucket.put("c", epoch - 1_000, { d: [["small", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(30_000)
      const tries = yield* loadsOf(bucket, name)
      assert.isAtMost(tries, 2, "once, and once more after c's was merged")
      assert.strictEqual(daemon.logged("Cannot merge a snapshot", "Error").length, 1)
      assert.include(
        String(daemon.logged("Cannot merge a snapshot")[0]!.fields["error"]),
        "raise the application's map size and options.map_size"
      )
      assert.deepStrictEqual(yield* daemon.failing, ["main_map_full"])
      assert.strictEqual((yield* content)["d"]!.length, 1)
      yield* application.write((transaction) =>
        transaction.drop(transaction.dbis().find(({ name }) => name === "filler")!.name)
      )
      yield* pass(3_000)
      assert.strictEqual((yield* content)["d"]!.length, 41)
      assert.deepStrictEqual(yield* daemon.failing, [])
      assert.strictEqual(yield* loadsOf(bucket, name), tries + 1)
    })
  )

  it.effect("does not make the daemon load again and again when the application has just committed", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld({ mapSize: 60_000 })
      yield* put({ filler: [["f", 5, "y".repeat(10_000)]] })
      yield* start()
      yield* pass(2_950)
      // Between two polls: the last id that the loops know is old.
      yield* put({ filler: [["f", 6, "y".repeat(10_000)]] })
      yield* bucket.put("b", epoch - 1_000, large)
      yield* pass(1_900)
      assert.strictEqual(yield* loadsOf(bucket, nameOf("b", epoch - 1_000)), 1)
    })
  )

  it.effect("with our own old snapshot blocks sending", () =>
    Effect.gen(function* () {
      const { application, bucket, put, start } = yield* makeWorld({ mapSize: 100_000 })
      yield* put({ filler: [["f", 5, "y".repeat(40_000)]] })
      yield* bucket.put("a", epoch - 1_000, large)
      yield* start()
      yield* pass(30_000)
      assert.strictEqual((yield* bucket.callsOf("store")).length, 1)
      yield* application.write((transaction) =>
        transaction.drop(transaction.dbis().find(({ name }) => name === "filler")!.name)
      )
      yield* pass(3_000)
      assert.strictEqual((yield* bucket.callsOf("store")).length, 2)
    })
  )
})

describe("A full table of readers", () => {
  const reason = new LmdbError({ path: "/memory/main", reason: new ReadersFull({ maximum: 126 }) })

  it.effect("is waited out by merges and sends: each is logged once, and all is done when there is a slot", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      let isFull = false
      const unlessFull = (operation: DatabaseError["operation"]) =>
        Effect.suspend(() =>
          isFull ? Effect.fail(new DatabaseError({ database: "main", operation, reason })) : Effect.void
        )
      const daemon = yield* start({
        database: (database) => ({
          ...database,
          merge: (request) => Effect.andThen(unlessFull("merge"), database.merge(request)),
          dump: (request) => Effect.andThen(unlessFull("dump"), database.dump(request))
        })
      })
      yield* pass(2_000)
      isFull = true
      yield* put({ d: [["ours", 5, "v"]] })
      for (const instance of ["b", "c"]) yield* bucket.put(instance, epoch - 1_000, { d: [[instance, 5, "v"]] })
      yield* pass(60_000)
      assert.deepStrictEqual(yield* daemon.failing, ["main_dump", "main_merge"])
      const lines = [...daemon.logged("Cannot", "Error"), ...daemon.logged("again", "Info")]
      assert.deepStrictEqual(
        lines.map(({ message }) => message),
        ["Cannot merge a snapshot, retrying", "Cannot make a snapshot, retrying"]
      )
      for (const { fields } of lines)
        assert.include(String(fields["error"]), "look for processes that were killed while reading")
      assert.isUndefined(yield* daemon.ended)
      isFull = false
      yield* pass(10_000)
      assert.lengthOf((yield* content)["d"]!, 3)
      assert.deepStrictEqual(yield* daemon.failing, [])
      assert.lengthOf(daemon.logged("Recovered: can merge a snapshot again"), 1)
      assert.lengthOf(daemon.logged("Recovered: can make a snapshot again"), 1)
    })
  )
})
