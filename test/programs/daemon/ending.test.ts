/** How a daemon ends: told to, or by itself when everything is done. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { objectOf, snapshot } from "../../support/fixtures/Snapshots.ts"
import { type Bucket, epoch, makeBucket, makeEnvironment, makeWorld, nameOf, pass, startDaemon } from "./World.ts"

const storesOf = (bucket: Bucket) =>
  Effect.map(bucket.callsOf("store"), (names) => names.filter((name) => name.startsWith("main__a__")).length)

describe("Stopping", () => {
  it.effect("sends what is unsent, and ends with 0", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(2_000)
      yield* put({ d: [["k", 6, "v"]] })
      yield* daemon.stop
      assert.strictEqual(yield* daemon.ended, 0)
      assert.strictEqual((yield* bucket.names).length, 2)
    })
  )

  it.effect("ends with 1 when that fails for too long, and says so", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      const daemon = yield* start()
      yield* pass(2_000)
      yield* put({ d: [["k", 6, "v"]] })
      yield* bucket.faults.add({ operation: "store", times: Infinity }, { kind: "fail", reason: unavailable })
      yield* daemon.stop
      assert.isUndefined(yield* daemon.ended)
      yield* pass(8_000)
      assert.strictEqual(yield* daemon.ended, 1)
      assert.strictEqual(daemon.logged("Pending changes were not sent", "Error").length, 1)
    })
  )

  it.effect("before our own old snapshot is merged sends nothing: that would hide it", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.put("a", epoch - 1_000, { d: [["old", 5, "v"]] })
      yield* bucket.faults.add({ operation: "load", times: Infinity }, { kind: "fail", reason: unavailable })
      const daemon = yield* start()
      yield* pass(2_000)
      yield* daemon.stop
      assert.strictEqual(yield* daemon.ended, 1)
      assert.strictEqual((yield* bucket.names).length, 1)
    })
  )

  it.effect("with nothing that could be sent is no failure, also before the first listing", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      // Used, and without entries.
      yield* put({ d: [] })
      yield* bucket.faults.add({ operation: "list", times: Infinity }, { kind: "fail", reason: unavailable })
      const daemon = yield* start()
      yield* pass(2_000)
      yield* daemon.stop
      assert.strictEqual(yield* daemon.ended, 0)
      assert.deepStrictEqual(yield* bucket.callsOf("store"), [])
    })
  )
  it.effect("before the LMDB is open ends with 1: what is unsent in it is not known", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      const daemon = yield* start({ options: { markerFile: "go" } })
      yield* pass(2_000)
      yield* daemon.stop
      assert.strictEqual(yield* daemon.exitCode, 1)
      assert.lengthOf(daemon.logged("Ended before the LMDB was opened", "Error"), 1)
      const receiving = yield* start({ options: { markerFile: "go", receiveOnly: true } })
      yield* pass(2_000)
      yield* receiving.stop
      assert.strictEqual(yield* receiving.exitCode, 0)
    })
  )

  it.effect("while there is no LMDB is no failure: nothing can be unsent", () =>
    Effect.gen(function* () {
      const { start } = yield* makeWorld()
      const daemon = yield* start({ present: () => false })
      yield* pass(2_000)
      yield* daemon.stop
      assert.strictEqual(yield* daemon.exitCode, 0)
    })
  )

  it.effect(
    "sends what the application commits during the last send, too, and ends with 1 when it goes on and on",
    () =>
      Effect.gen(function* () {
        for (const [changes, code] of [
          [2, 0],
          [Infinity, 1]
        ] as const) {
          const { bucket, put, start } = yield* makeWorld()
          yield* put({ d: [["k", 5, "v"]] })
          let stopping = false
          let sends = 0
          const daemon = yield* start({
            storage: {
              ...bucket.storage,
              store: (name, object) =>
                Effect.andThen(
                  Effect.suspend(() =>
                    stopping && sends++ < changes ? Effect.orDie(put({ d: [["k", 10 + sends, "v"]] })) : Effect.void
                  ),
                  bucket.storage.store(name, object)
                )
            }
          })
          yield* pass(2_000)
          yield* put({ d: [["k", 6, "v"]] })
          stopping = true
          yield* daemon.stop
          yield* pass(5_000)
          assert.strictEqual(yield* daemon.exitCode, code)
          assert.lengthOf(yield* bucket.names, 1 + 3)
          assert.lengthOf(daemon.logged("Pending changes were not sent", "Error"), code)
        }
      })
  )
})

describe("--only-once", () => {
  it.effect("merges and sends what there is, and ends with 0", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.put("b", epoch - 1_000, { d: [["theirs", 5, "v"]] })
      yield* bucket.faults.add({ operation: "load", times: 2 }, { kind: "fail", reason: unavailable })
      const daemon = yield* start({ options: { onlyOnce: true } })
      yield* pass(9_000)
      assert.isUndefined(yield* daemon.ended, "it waits for what cannot be loaded")
      yield* pass(6_000)
      assert.strictEqual(yield* daemon.ended, 0)
      assert.strictEqual((yield* content)["d"]!.length, 2)
      assert.strictEqual(yield* storesOf(bucket), 1)
    })
  )

  it.effect("ends with 1 when one was refused or corrupt, after the others", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.put("c", epoch - 1_000, { d: [["theirs", 5, "v"]] })
      yield* bucket.store(
        nameOf("b", epoch - 1_000),
        objectOf({ ...snapshot({ d: [["x", 1, "v"]] }), compatVersion: 4 })
      )
      const daemon = yield* start({ options: { onlyOnce: true } })
      yield* pass(3_000)
      assert.strictEqual(yield* daemon.ended, 1)
      assert.strictEqual((yield* content)["d"]!.length, 2)
      assert.strictEqual(yield* storesOf(bucket), 1)
      assert.strictEqual(daemon.logged("1 snapshot(s) were refused, corrupt or missing", "Error").length, 1)
    })
  )

  it.effect("of several databases: one that cannot merge everything stops none of the others", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch)
      const bucket = yield* makeBucket
      const environments = { one: makeEnvironment(), two: makeEnvironment() }
      yield* bucket.store(nameOf("b", epoch - 1_000, "one"), Buffer.from("no snapshot"))
      yield* bucket.put("b", epoch - 1_000, { d: [["theirs", 5, "v"]] }, "two")
      yield* environments.two.put({ d: [["k", 5, "v"]] })
      yield* bucket.faults.add({ operation: "load", name: /^two__/, times: 2 }, { kind: "fail", reason: unavailable })
      const daemon = yield* startDaemon({ bucket, environments, options: { onlyOnce: true } })
      yield* pass(20_000)
      assert.strictEqual(yield* daemon.ended, 1)
      assert.strictEqual((yield* environments.two.content)["d"]!.length, 2)
      assert.strictEqual((yield* bucket.callsOf("store")).filter((name) => name.startsWith("two__a__")).length, 1)
      assert.deepStrictEqual(
        daemon.logged("were refused, corrupt or missing", "Error").map(({ fields }) => fields["db"]),
        ["one"]
      )
    })
  )

  it.effect("ends with 1 when there is no LMDB; without it the daemon waits for the file, and says so once", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      let present = false
      const once = yield* start({ options: { onlyOnce: true }, present: () => present })
      yield* pass(1_000)
      assert.strictEqual(yield* once.ended, 1)
      const daemon = yield* start({ present: () => present })
      yield* pass(20_000)
      assert.isUndefined(yield* daemon.ended)
      assert.strictEqual(daemon.logged("Cannot open the LMDB", "Warn").length, 1)
      assert.deepStrictEqual(yield* daemon.failing, ["main_lmdb_missing"])
      present = true
      yield* pass(3_000)
      assert.strictEqual(daemon.logged("Initial sync complete").length, 1)
      assert.deepStrictEqual(yield* daemon.failing, [])
    })
  )
})
