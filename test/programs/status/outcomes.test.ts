/** How sends and merges end, as metrics, on virtual time: what no process can be made to do at a known moment. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { families } from "../../../src/domain/metrics/MetricFamilies.ts"
import { DatabaseError, RefusedSnapshot } from "../../../src/services/Database.ts"
import { LmdbError, MapFull } from "../../../src/services/Lmdb.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { epoch, makeWorld, pass } from "../daemon/World.ts"

const mapFull = new LmdbError({ path: "/memory/main", reason: new MapFull({ mapSize: 1, used: 1, needed: 2 }) })

describe("the metrics of", () => {
  it.effect("a send that is superseded by a newer state", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      const daemon = yield* start()
      yield* pass(2_000)
      assert.strictEqual(yield* daemon.counted(families.sends, { result: "stored" }), 1)
      yield* bucket.faults.add({ operation: "store", times: Infinity }, { kind: "fail", reason: unavailable })
      yield* put({ d: [["k", 2, "v"]] })
      yield* pass(3_000)
      yield* put({ d: [["k", 3, "v"]] })
      yield* pass(20_000)
      assert.strictEqual(yield* daemon.counted(families.sends, { result: "superseded" }), 1)
      yield* bucket.faults.clear
      yield* pass(60_000)
      assert.strictEqual(yield* daemon.counted(families.sends, { result: "stored" }), 2)
      assert.strictEqual(yield* daemon.counted(families.generated), 3)
    })
  )

  it.effect("a send that cannot be made", () =>
    Effect.gen(function* () {
      const { put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      let isFull = true
      const daemon = yield* start({
        database: (database) => ({
          ...database,
          dump: (request) =>
            isFull
              ? Effect.fail(new DatabaseError({ database: "main", operation: "dump", reason: mapFull }))
              : database.dump(request)
        })
      })
      yield* pass(7_000)
      assert.strictEqual(yield* daemon.counted(families.sends, { result: "failed" }), 2)
      isFull = false
      yield* pass(6_000)
      assert.strictEqual(yield* daemon.counted(families.sends, { result: "stored" }), 1)
    })
  )

  it.effect("a send and a merge that are aborted, since the daemon ends", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      const daemon = yield* start({ database: (database) => ({ ...database, merge: () => Effect.never }) })
      yield* pass(2_000)
      yield* bucket.put("b", epoch, { d: [["of-b", 2, "v"]] })
      yield* bucket.faults.add({ operation: "store" }, { kind: "hang" })
      yield* put({ d: [["k", 2, "v"]] })
      yield* pass(3_000)
      yield* daemon.stop
      yield* pass(3_000)
      assert.strictEqual(yield* daemon.ended, 0)
      assert.strictEqual(yield* daemon.counted(families.sends, { result: "aborted" }), 1)
      assert.strictEqual(yield* daemon.counted(families.sends, { result: "stored" }), 2)
      assert.strictEqual(yield* daemon.counted(families.merges, { result: "aborted" }), 1)
    })
  )

  it.effect("a snapshot that is refused", () =>
    Effect.gen(function* () {
      const { bucket, put, start } = yield* makeWorld()
      yield* put({ d: [["k", 1, "v"]] })
      const reason = new RefusedSnapshot({ problem: "no" })
      const daemon = yield* start({
        database: (database) => ({
          ...database,
          merge: () => Effect.fail(new DatabaseError({ database: "main", operation: "merge", reason }))
        })
      })
      yield* bucket.put("b", epoch, { d: [["of-b", 2, "v"]] })
      yield* pass(3_000)
      assert.strictEqual(yield* daemon.counted(families.quarantines, { reason: "refused" }), 1)
      assert.strictEqual(yield* daemon.counted(families.merges, { result: "failed" }), 1)
    })
  )
})
