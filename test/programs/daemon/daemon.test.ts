/** The daemon as a whole: how it begins, ends, and what its options do. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { layerWith, markerName } from "../../../src/layers/storage/StorageUpdateMarker.ts"
import { DatabaseError, NotNative, WorkerLost } from "../../../src/services/Database.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { type Bucket, epoch, makeBucket, makeEnvironment, makeWorld, pass, startDaemon } from "./World.ts"

const storesOf = (bucket: Bucket, database: string) =>
  Effect.map(bucket.callsOf("store"), (names) => names.filter((name) => name.startsWith(`${database}__a__`)).length)

/** Two databases over one bucket. */
const makeTwo = Effect.gen(function* () {
  yield* TestClock.setTime(epoch)
  const bucket = yield* makeBucket
  const environments = { one: makeEnvironment(), two: makeEnvironment() }
  for (const environment of Object.values(environments)) yield* environment.put({ d: [["k", 5, "v"]] })
  return { bucket, environments }
})

/** Fails the test on anything that changes the bucket. */
const readOnly = ({ storage }: Bucket) =>
  Storage.of({
    ...storage,
    store: (name) => Effect.die(new Error(`stored ${name}`)),
    delete: (name) => Effect.die(new Error(`deleted ${name}`))
  })

describe("Several databases", () => {
  it.effect("are synced each on its own", () =>
    Effect.gen(function* () {
      const { bucket, environments } = yield* makeTwo
      yield* bucket.put("b", epoch - 1_000, { d: [["theirs", 5, "v"]] }, "two")
      yield* bucket.faults.add(
        { operation: "list", name: "one__", times: Infinity },
        { kind: "fail", reason: unavailable }
      )
      const daemon = yield* startDaemon({ bucket, environments })
      yield* pass(5_000)
      assert.deepStrictEqual([yield* storesOf(bucket, "one"), yield* storesOf(bucket, "two")], [0, 1])
      assert.strictEqual((yield* environments.two.content)["d"]!.length, 2)
      assert.deepStrictEqual(
        daemon.logged("Initial sync complete").map(({ fields }) => fields["db"]),
        ["two"]
      )
    })
  )

  it.effect("an error in one ends the daemon with 1, after what is unsent of the others was sent", () =>
    Effect.gen(function* () {
      const { bucket, environments } = yield* makeTwo
      let broken = false
      const daemon = yield* startDaemon({
        bucket,
        environments,
        database: (database) => ({
          ...database,
          changes: Effect.suspend(() => {
            if (!broken || database.name !== "one") return database.changes
            const reason = new NotNative({ dbi: "d", key: "6b", problem: "the value is shorter than its header" })
            return new DatabaseError({ database: "one", operation: "changes", reason })
          })
        })
      })
      yield* pass(2_500)
      yield* environments.two.put({ d: [["k", 6, "unsent"]] })
      broken = true
      yield* pass(600)
      assert.strictEqual(yield* daemon.ended, 1)
      assert.strictEqual(yield* storesOf(bucket, "two"), 2)
      assert.strictEqual(daemon.failures.length, 1)
      assert.strictEqual(daemon.logged("Fatal error", "Error").length, 1)
      assert.include(String(daemon.logged("Fatal error")[0]!.fields["error"]), `DBI "d", key 0x6b`)
    })
  )

  it.effect("--only-db leaves the others alone", () =>
    Effect.gen(function* () {
      const { bucket, environments } = yield* makeTwo
      const daemon = yield* startDaemon({ bucket, environments, options: { onlyDb: ["two"] } })
      yield* pass(3_000)
      assert.deepStrictEqual([yield* storesOf(bucket, "one"), yield* storesOf(bucket, "two")], [0, 1])
      assert.strictEqual(daemon.logged("Skipped").length, 1)
    })
  )
})

describe("receive", () => {
  it.effect("merges, our own old snapshot as well, and never writes to the bucket", () =>
    Effect.gen(function* () {
      const { bucket, content, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.put("a", epoch - 9_000, { d: [["own", 5, "v"]] })
      yield* bucket.put("b", epoch - 1_000, { d: [["theirs", 5, "v"]] })
      const daemon = yield* start({ options: { receiveOnly: true }, storage: readOnly(bucket) })
      yield* pass(5_000)
      assert.strictEqual((yield* content)["d"]!.length, 3)
      assert.strictEqual(daemon.logged("Initial sync complete").length, 1)
      yield* put({ d: [["k", 6, "local"]] })
      yield* bucket.put("b", epoch + 6_000, { d: [["k", 1, "loses"]] })
      yield* pass(18_000)
      yield* daemon.stop
      assert.strictEqual(yield* daemon.ended, 0)
    })
  )
})

describe("--wait-for-marker-file", () => {
  it.effect("nothing is done before that object exists", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.store("ready-to-go-later", Buffer.from("another"))
      const daemon = yield* start({ options: { markerFile: "ready-to-go" } })
      for (const operation of ["list", "load"] as const)
        yield* bucket.faults.add({ operation, times: 2 }, { kind: "fail", reason: unavailable })
      yield* pass(6_000)
      assert.strictEqual(yield* storesOf(bucket, "main"), 0)
      for (const what of ["Cannot look for the marker file", "Recovered: can look for the marker file again"])
        assert.lengthOf(daemon.logged(what), 1, what)
      yield* bucket.store("ready-to-go", Buffer.from(""))
      yield* pass(3_000)
      assert.strictEqual(yield* storesOf(bucket, "main"), 1)
      assert.isUndefined(yield* daemon.ended)
    })
  )

  it.effect("it is found at the next poll, also where nobody has told the update marker of it", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      yield* bucket.store(markerName, Buffer.from("of another instance"))
      const marker = layerWith({ globalPrefix: "", forceListInterval: Duration.minutes(5) })
      const context = yield* Layer.build(Layer.provide(marker, Layer.succeed(Storage, bucket.storage)))
      yield* start({ storage: Context.get(context, Storage), options: { markerFile: "ready-to-go" } })
      yield* pass(5_000)
      assert.strictEqual(yield* storesOf(bucket, "main"), 0)
      yield* bucket.store("ready-to-go", Buffer.from("anything"))
      yield* pass(3_000)
      assert.strictEqual(yield* storesOf(bucket, "main"), 1)
    })
  )
})

describe("A lost worker", () => {
  it.effect("ends the daemon, which is told before anything else is tried", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["k", 5, "v"]] })
      let lost = false
      const daemon = yield* start({
        database: (database) => ({
          ...database,
          changes: Effect.suspend(() =>
            lost
              ? new DatabaseError({
                  database: "main",
                  operation: "changes",
                  reason: new WorkerLost({ detail: "test" })
                })
              : database.changes
          )
        })
      })
      yield* pass(2_000)
      lost = true
      yield* pass(1_500)
      assert.strictEqual(yield* daemon.ended, 1)
      assert.include(daemon.failures[0], "the worker thread ended")
    })
  )
})
