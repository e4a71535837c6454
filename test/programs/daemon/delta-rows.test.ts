/**
 * Pending deltas of one instance, which a daemon merges together. Each of them is recorded as if it were merged by
 * itself, and none is lost or blamed for another. Source: docs/sync.md, Receiving.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { families } from "../../../src/domain/metrics/MetricFamilies.ts"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import { type Database, DatabaseError, RefusedSnapshot } from "../../../src/services/Database.ts"
import { Lmdb, LmdbError, ReadersFull } from "../../../src/services/Lmdb.ts"
import { Choices } from "../../simulation/Choices.ts"
import { directory, optionsOf } from "../../support/fakes/LmdbNativeSubject.ts"
import { object } from "../../support/fixtures/Snapshots.ts"
import {
  type Bucket,
  deltaNameOf,
  epoch,
  makeBucket,
  makeEnvironment,
  makeWorld,
  pass,
  type RunningDaemon,
  startDaemon
} from "./World.ts"

type World = Effect.Success<ReturnType<typeof makeWorld>>

const start = epoch - 20_000

/** Stores a full snapshot of b, and deltas that lead on from it. */
const chain = Effect.fnUntraced(function* (
  { put, putDelta }: Bucket,
  deltas: number,
  value: (n: number) => string = (n) => `d${n}`
) {
  yield* put("b", start, { d: [["k", 1, "full"]] })
  for (let n = 0; n < deltas; n++)
    yield* putDelta("b", start + n * 1_000, start + (n + 1) * 1_000, { d: [[`k${n}`, 1, value(n)]] })
})

const nameOfDelta = (n: number) => deltaNameOf("b", start + n * 1_000, start + (n + 1) * 1_000)

const merged = (daemon: RunningDaemon) => daemon.logged("Loaded remote update").map(({ fields }) => fields)

const keys = ({ content }: Pick<World, "content">) =>
  Effect.map(content, (dbis) => (dbis["d"] ?? []).map((line) => Buffer.from(line.split(" ")[0]!, "hex").toString()))

const names = (count: number) => ["k", ...Array.from({ length: count }, (_, n) => `k${n}`)].toSorted()

type Merge = Database["Service"]["merge"]

/** Replaces the merge of a database. */
const merging = (around: (merge: Merge) => Merge) => (database: Database["Service"]) => ({
  ...database,
  merge: around(database.merge)
})

describe("Pending deltas of an instance", () => {
  it.effect("take one write transaction of a real LMDB, and each is recorded by itself", () =>
    Effect.scoped(
      Effect.gen(function* () {
        yield* TestClock.setTime(epoch)
        const bucket = yield* makeBucket
        yield* chain(bucket, 10)
        const context = yield* Layer.build(LmdbNative.layerWith(optionsOf(`${yield* directory}/lmdb`)))
        const environment = { ...makeEnvironment(), layer: Layer.succeedContext(context) }
        const daemon = yield* startDaemon({
          bucket,
          environments: { main: environment },
          options: { receiveOnly: true }
        })
        for (let tries = 0; tries < 600 && merged(daemon).length < 11; tries++) {
          yield* pass(100)
          yield* TestClock.withLive(Effect.sleep(5))
        }
        const { lastTransactionId } = yield* Effect.provideContext(Lmdb, context)
        // One for the full snapshot, which creates the DBI.
        assert.strictEqual(yield* lastTransactionId, 2n)
        assert.deepStrictEqual(
          merged(daemon).map(({ entries_read, entries_written, kind, txnID }) => [
            kind,
            entries_read,
            entries_written,
            txnID
          ]),
          [["snapshot", 1, 1, "1"], ...Array.from({ length: 10 }, () => ["delta", 1, 1, "2"])]
        )
        const times = merged(daemon).map(({ timestamp }) => String(timestamp))
        assert.deepStrictEqual(times, times.toSorted())
        assert.strictEqual(yield* daemon.counted(families.merges, { kind: "delta", result: "merged" }), 10)
        assert.strictEqual(yield* daemon.counted(families.entries, { operation: "merge", result: "written" }), 11)
        assert.deepStrictEqual(yield* daemon.failing, [])
      })
    )
  )

  it.effect("before a corrupt one are merged together; that one is loaded again and quarantined", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      const { bucket } = world
      yield* chain(bucket, 10)
      yield* bucket.store(nameOfDelta(4), object({ d: [["k4", 1, "d4"]] }).fill(0, 30, 40))
      const daemon = yield* world.start({ options: { receiveOnly: true } })
      yield* pass(3_000)
      assert.deepStrictEqual(yield* keys(world), names(4))
      assert.strictEqual(yield* world.lastId, 2n)
      assert.deepStrictEqual(
        daemon.logged("Snapshot quarantined", "Error").map(({ fields }) => fields["snapshot_name"]),
        [nameOfDelta(4)]
      )
      assert.lengthOf(
        (yield* bucket.callsOf("load")).filter((name) => name === nameOfDelta(4)),
        2
      )
      assert.strictEqual(yield* daemon.counted(families.merges, { kind: "delta", result: "merged" }), 4)
      assert.strictEqual(yield* daemon.counted(families.merges, { kind: "delta", result: "failed" }), 2)
      // Another one leads around it.
      yield* bucket.putDelta("b", start + 2_000, start + 5_000, { d: [["k4", 1, "d4"]] })
      yield* pass(2_000)
      assert.deepStrictEqual(yield* keys(world), names(10))
      assert.strictEqual(yield* world.lastId, 3n)
    })
  )

  it.effect("that cannot be written together are written one by one, and only the one at fault is quarantined", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* chain(world.bucket, 6, (n) => (n === 3 ? "a longer value" : `d${n}`))
      const sizes = (yield* world.bucket.storage.list("")).map(({ name, size }) => [name, size] as const)
      const size = new Map(sizes).get(nameOfDelta(3))!
      const daemon = yield* world.start({
        options: { receiveOnly: true },
        database: merging(
          (merge) => (request) =>
            request.snapshots.some(({ spooled }) => spooled.size === size)
              ? new DatabaseError({
                  database: "main",
                  operation: "merge",
                  reason: new RefusedSnapshot({ problem: "it cannot be put" })
                })
              : merge(request)
        )
      })
      yield* pass(3_000)
      assert.deepStrictEqual(yield* keys(world), names(3))
      assert.deepStrictEqual(
        daemon.logged("Snapshot quarantined", "Error").map(({ fields }) => fields["snapshot_name"]),
        [nameOfDelta(3)]
      )
      assert.strictEqual(yield* daemon.counted(families.merges, { kind: "delta", result: "failed" }), 1)
    })
  )

  it.effect("whose merge fails for a while are all merged when it works again", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* chain(world.bucket, 10)
      let failures = 3
      const daemon = yield* world.start({
        options: { receiveOnly: true },
        database: merging(
          (merge) => (request) =>
            request.snapshots.length > 1 || failures-- > 0
              ? new DatabaseError({
                  database: "main",
                  operation: "merge",
                  reason: new LmdbError({ path: "", reason: new ReadersFull({ maximum: 126 }) })
                })
              : merge(request)
        )
      })
      yield* pass(20_000)
      assert.deepStrictEqual(yield* keys(world), names(10))
      assert.isUndefined(yield* daemon.ended)
      assert.deepStrictEqual(yield* daemon.failing, [])
    })
  )

  it.effect("are merged by the next daemon if this one ends before they are recorded", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld()
      yield* chain(world.bucket, 10)
      const killed = yield* world.start({
        options: { receiveOnly: true },
        database: merging(
          (merge) => (request) =>
            Effect.tap(merge(request), (results) => (results.length > 1 ? Effect.never : Effect.void))
        )
      })
      yield* pass(2_000)
      assert.lengthOf(merged(killed), 1)
      yield* killed.kill
      assert.strictEqual(yield* killed.counted(families.merges, { kind: "delta", result: "aborted" }), 10)
      const daemon = yield* world.start({ options: { receiveOnly: true } })
      yield* pass(2_000)
      assert.lengthOf(merged(daemon), 11)
      assert.deepStrictEqual(yield* keys(world), names(10))
    })
  )

  it.effect("are merged in several transactions if they are large together, or many", () =>
    Effect.gen(function* () {
      const choices = new Choices(1)
      // Values that compression does not make small.
      const large = () => Array.from({ length: 8_000 }, () => String(choices.next()).slice(2, 16)).join("")
      const world = yield* makeWorld()
      yield* chain(world.bucket, 5, large)
      const first = (yield* world.bucket.storage.list("")).find(({ name }) => name === nameOfDelta(0))
      assert.isAbove(first!.size, 262_144 / 6)
      assert.isBelow(first!.size, 262_144 / 4)
      yield* world.start({ options: { receiveOnly: true } })
      yield* pass(4_000)
      assert.deepStrictEqual(yield* keys(world), names(5))
      assert.strictEqual(yield* world.lastId, 3n)
      const other = yield* makeWorld()
      yield* chain(other.bucket, 40)
      yield* other.start({ options: { receiveOnly: true } })
      yield* pass(4_000)
      assert.deepStrictEqual(yield* keys(other), names(40))
      // The full snapshot and 15 deltas are loaded together, then 16 and 9.
      assert.strictEqual(yield* other.lastId, 4n)
    })
  )
})
