/** What a daemon does first. Source: docs/sync.md, Starting. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Stream } from "effect"
import { gunzipSync } from "node:zlib"
import { ObjectNotFound } from "../../../src/services/Storage.ts"
import { decode } from "../../support/fixtures/DecodedSnapshot.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { object, objectOf, snapshot } from "../../support/fixtures/Snapshots.ts"
import { contentOf, mergeSnapshot, shown } from "../../support/fixtures/LastWriteWins.ts"
import { type Bucket, epoch, makeWorld, nameOf, pass } from "./World.ts"

/** The newest object of the instance. */
const newest = Effect.fnUntraced(function* ({ names, storage }: Bucket, instance = "a") {
  const name = (yield* names).findLast((each) => each.includes(`__${instance}__`))!
  const message = gunzipSync(Buffer.concat(yield* Stream.runCollect(storage.load(name))))
  const decoded = decode(message)
  return { name, decoded, content: shown(mergeSnapshot(contentOf([]), decoded)) }
})

/** Besides the three objects that were in the bucket. */
const stores = (bucket: Bucket) => Effect.map(bucket.callsOf("store"), (calls) => calls.length - 3)

describe("Starting", () => {
  it.effect("an LMDB with data is sent at once when the bucket has none, once", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(5_000)
      assert.deepStrictEqual(yield* bucket.callsOf("store"), [nameOf("a", epoch).replace("__GX", "__GX__D1")])
      const sent = yield* newest(bucket)
      assert.deepStrictEqual(sent.content, yield* content)
      assert.deepInclude(sent.decoded.meta, {
        instanceID: "a",
        hostname: "host",
        databaseName: "main",
        lmdbTxnID: 1n,
        timestampNano: BigInt(epoch) * 1_000_000n
      })
      assert.strictEqual(daemon.logged("Initial sync complete").length, 1)
      assert.deepStrictEqual(
        daemon.logged("Stored snapshot").map(({ fields }) => fields["snapshot_kind"]),
        ["snapshot"]
      )
    })
  )

  it.effect(
    "a snapshot of our own name from 2554 or later is merged and reported until it is removed: no name of ours can follow it",
    () =>
      Effect.gen(function* () {
        for (const time of ["25540101-000000-000000000", "26000101-000000-000000000", "99991231-235959-999999999"]) {
          const { bucket, content, put, start } = yield* makeWorld()
          const name = `main__a__${time}__GX.pb.gz`
          yield* bucket.store(name, object({ d: [["far", 5, "v"]] }))
          yield* put({ d: [["k", 5, "v"]] })
          const daemon = yield* start()
          yield* pass(3_000)
          assert.isUndefined(yield* daemon.ended)
          assert.lengthOf((yield* content)["d"]!, 2)
          const [said, ...more] = daemon.logged("no snapshot of ours can be newer", "Error")
          assert.include(said!.message, name)
          assert.include(said!.message, "Remove it from the bucket")
          assert.deepStrictEqual(more, [])
          assert.deepStrictEqual(yield* daemon.failing, ["main_own_name"])
          assert.lengthOf(yield* bucket.callsOf("store"), 2)
          yield* bucket.storage.delete(name)
          yield* pass(3_000)
          assert.deepStrictEqual(yield* daemon.failing, [])
          yield* put({ d: [["k", 6, "v"]] })
          yield* daemon.stop
          assert.strictEqual(yield* daemon.ended, 0)
          assert.lengthOf((yield* newest(bucket)).content["d"]!, 2)
        }
      })
  )

  it.effect("every start sends, changed or not", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      for (let count = 1; count <= 3; count++) {
        const daemon = yield* start()
        yield* pass(2_000)
        assert.strictEqual((yield* bucket.callsOf("store")).length, count)
        yield* daemon.stop
        assert.strictEqual(yield* daemon.ended, 0)
        assert.strictEqual((yield* bucket.callsOf("store")).length, count, "nothing was unsent")
      }
    })
  )

  it.effect("a new LMDB is not sent: one warning, and the first data is", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      const daemon = yield* start()
      yield* pass(5_000)
      assert.deepStrictEqual(yield* bucket.names, [])
      assert.strictEqual(daemon.logged("The LMDB is new", "Warn").length, 1)
      assert.strictEqual(daemon.logged("Initial sync complete").length, 1)
      yield* put({ d: [["k", 5, "v"]] })
      yield* pass(1_500)
      assert.strictEqual((yield* bucket.names).length, 1)
    })
  )

  it.effect("an LMDB without entries that merges fill is not sent before the application changes it", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [] })
      yield* bucket.put("b", epoch - 5_000, { d: [["k", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(5_000)
      assert.deepStrictEqual(yield* bucket.callsOf("store"), [nameOf("b", epoch - 5_000)])
      assert.strictEqual(daemon.logged("Initial sync complete").length, 1)
      yield* put({ d: [["mine", 6, "v"]] })
      yield* pass(1_500)
      assert.deepStrictEqual((yield* newest(bucket)).content, yield* content)
    })
  )

  it.effect("our own old snapshot is merged before anything is sent, so what a lost LMDB held comes back", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* bucket.put("a", epoch - 5_000, { d: [["old", 5, "only in the bucket"]] })
      yield* put({ d: [["new", 6, "v"]] })
      yield* bucket.faults.add({ operation: "load", times: 3 }, { kind: "fail", reason: unavailable })
      yield* start()
      yield* pass(12_000)
      assert.deepStrictEqual(
        (yield* bucket.callsOf("store")).length,
        1,
        "nothing was sent while it could not be loaded"
      )
      yield* pass(10_000)
      assert.deepStrictEqual(
        (yield* newest(bucket)).content,
        shown(
          mergeSnapshot(
            contentOf([]),
            snapshot({
              d: [
                ["old", 5, "only in the bucket"],
                ["new", 6, "v"]
              ]
            })
          )
        )
      )
    })
  )

  it.effect(
    "our own old snapshot that is listed and not found is waited for until a listing says that it is gone",
    () =>
      Effect.gen(function* () {
        const { bucket, content, put, start } = yield* makeWorld()
        yield* bucket.put("a", epoch - 6_000, { d: [["older", 5, "v"]] })
        yield* bucket.put("a", epoch - 5_000, {
          d: [
            ["older", 5, "v"],
            ["old", 5, "v"]
          ]
        })
        yield* put({ d: [["new", 6, "v"]] })
        yield* bucket.faults.add(
          { operation: "load", name: nameOf("a", epoch - 5_000), times: 3 },
          { kind: "fail", reason: new ObjectNotFound() }
        )
        const daemon = yield* start()
        yield* pass(2_500)
        assert.strictEqual((yield* bucket.callsOf("store")).length, 2)
        yield* pass(3_000)
        assert.deepStrictEqual((yield* newest(bucket)).content["d"]!.length, 3)
        yield* daemon.stop

        yield* bucket.put("a", epoch + 60_000, { d: [["lost", 5, "v"]] })
        yield* bucket.faults.add(
          { operation: "load", name: nameOf("a", epoch + 60_000), times: Infinity },
          { kind: "fail", reason: new ObjectNotFound() }
        )
        yield* start()
        yield* pass(5_000)
        yield* bucket.storage.delete(nameOf("a", epoch + 60_000))
        yield* pass(3_000)
        assert.deepStrictEqual((yield* newest(bucket)).content, yield* content)
      })
  )

  it.effect("when our newest is corrupt the next-newest of ours takes its place", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["new", 6, "v"]] })
      yield* bucket.put("a", epoch - 5_000, { d: [["old", 5, "v"]] })
      yield* bucket.store(nameOf("a", epoch - 4_000), object({ d: [["lost", 5, "v"]] }).subarray(0, 40))
      const daemon = yield* start()
      yield* pass(10_000)
      assert.strictEqual(daemon.logged("Snapshot quarantined", "Error").length, 1)
      assert.deepStrictEqual(Object.keys((yield* newest(bucket)).content), ["d"])
      assert.deepStrictEqual((yield* newest(bucket)).content["d"]!.length, 2)
      assert.strictEqual(daemon.logged("Initial sync complete").length, 1)
    })
  )

  describe("when our newest is refused", () => {
    const refused = objectOf({ ...snapshot({ d: [["only", 1, "there"]] }), compatVersion: 4 })
    const byLmdb = object({ "no\0name": [["only", 1, "there"]] })

    /** Ours in the bucket, an older one of ours, and one of another instance; the LMDB has a change of its own. */
    const makeBlocked = Effect.fnUntraced(function* (bytes: Uint8Array) {
      const world = yield* makeWorld()
      yield* world.put({ d: [["new", 6, "v"]] })
      yield* world.bucket.put("a", epoch - 5_000, { d: [["older", 5, "v"]] })
      yield* world.bucket.store(nameOf("a", epoch - 4_000), bytes)
      yield* world.bucket.put("b", epoch - 3_000, { d: [["theirs", 5, "v"]] })
      return world
    })

    it.effect(
      "it stays, merges and reports, and sends nothing until that one is removed: it may be the only copy",
      () =>
        Effect.gen(function* () {
          for (const bytes of [refused, byLmdb]) {
            const { bucket, content, put, start } = yield* makeBlocked(bytes)
            const daemon = yield* start({ settings: { storage_force_snapshot_interval: Duration.minutes(1) } })
            yield* pass(5_000)
            yield* put({ d: [["newer", 7, "v"]] })
            yield* pass(90_000)
            assert.isUndefined(yield* daemon.ended)
            assert.strictEqual(yield* stores(bucket), 0)
            assert.lengthOf((yield* content)["d"]!, 4)
            assert.deepStrictEqual(yield* daemon.failing, ["main_own_refused", "main_snapshots_set_aside"])
            assert.lengthOf(daemon.logged("nothing is sent while it is in the bucket", "Error"), 1)
            assert.lengthOf(daemon.logged("Initial sync complete"), 1)

            yield* bucket.storage.delete(nameOf("a", epoch - 4_000))
            yield* pass(3_000)
            assert.strictEqual(yield* stores(bucket), 1)
            assert.deepStrictEqual((yield* newest(bucket)).content, yield* content)
            assert.deepStrictEqual(yield* daemon.failing, [])
            yield* put({ d: [["newest", 8, "v"]] })
            yield* daemon.stop
            assert.strictEqual(yield* daemon.ended, 0)
            assert.deepStrictEqual((yield* newest(bucket)).content, yield* content)
          }
        })
    )

    it.effect("it ends with 1 when it is stopped, since its changes are unsent; with --only-once by itself", () =>
      Effect.gen(function* () {
        const { bucket, start } = yield* makeBlocked(refused)
        const daemon = yield* start()
        yield* pass(5_000)
        yield* daemon.stop
        assert.strictEqual(yield* daemon.ended, 1)
        assert.lengthOf(daemon.logged("Nothing was sent: our own newest snapshot is refused, see above", "Error"), 1)
        const once = yield* start({ options: { onlyOnce: true } })
        yield* pass(5_000)
        assert.strictEqual(yield* once.ended, 1)
        assert.strictEqual(yield* stores(bucket), 0)
      })
    )

    it.effect("and it is replaced by one that can be merged, that is done before anything is sent", () =>
      Effect.gen(function* () {
        const { bucket, content, start } = yield* makeBlocked(byLmdb)
        yield* start()
        yield* pass(5_000)
        const name = nameOf("a", epoch - 4_000)
        yield* bucket.faults.add({ operation: "load", name, times: 2 }, { kind: "fail", reason: unavailable })
        yield* bucket.storage.delete(name)
        yield* bucket.store(name, object({ d: [["only", 1, "there"]] }))
        yield* pass(4_000)
        assert.strictEqual(yield* stores(bucket), 1, "the one that replaces it")
        yield* pass(20_000)
        assert.strictEqual(yield* stores(bucket), 2)
        assert.lengthOf((yield* content)["d"]!, 4)
        assert.deepStrictEqual((yield* newest(bucket)).content, yield* content)
      })
    )
  })

  it.effect("nothing is sent before the first listing, which is tried every second forever, and logged once", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["new", 6, "v"]] })
      yield* bucket.faults.add({ operation: "list", times: Infinity }, { kind: "fail", reason: unavailable })
      const daemon = yield* start({ settings: { storage_retry_count: 2 } })
      yield* pass(60_000)
      assert.strictEqual(yield* daemon.ended, undefined)
      assert.strictEqual((yield* bucket.callsOf("list")).length, 61)
      assert.deepStrictEqual(yield* bucket.callsOf("store"), [])
      assert.strictEqual(daemon.logged("Cannot list snapshots").length, 1)
      assert.deepStrictEqual(yield* daemon.failing, ["main_storage_list"])
      yield* bucket.faults.clear
      yield* pass(2_000)
      assert.strictEqual((yield* bucket.callsOf("store")).length, 1)
      assert.strictEqual(daemon.logged("Recovered: can list snapshots again").length, 1)
      assert.deepStrictEqual(yield* daemon.failing, [])
    })
  )

  it.effect("Ready waits for every instance of the first listing: merged, vanished, or nothing good left", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["new", 6, "v"]] })
      for (const instance of ["b", "c", "d"]) yield* bucket.put(instance, epoch - 5_000, { d: [[instance, 5, "v"]] })
      yield* bucket.store(nameOf("d", epoch - 5_000), Buffer.from("no snapshot"))
      yield* bucket.faults.add(
        { operation: "load", name: nameOf("c", epoch - 5_000), times: Infinity },
        { kind: "fail", reason: unavailable }
      )
      const daemon = yield* start()
      yield* pass(20_000)
      assert.strictEqual(daemon.logged("Initial sync complete").length, 0)
      yield* bucket.storage.delete(nameOf("c", epoch - 5_000))
      yield* pass(2_000)
      assert.strictEqual(daemon.logged("Initial sync complete").length, 1)
    })
  )
})
