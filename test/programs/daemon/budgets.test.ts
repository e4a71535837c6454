/** How much of the bucket is in memory at once: counted by who has a load, a spool place or a merge under way. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { Storage } from "../../../src/services/Storage.ts"
import { unavailable } from "../../support/fakes/StorageFaults.ts"
import { objectOf, snapshot } from "../../support/fixtures/Snapshots.ts"
import { epoch, makeBucket, makeEnvironment, nameOf, pass, startDaemon } from "./World.ts"

/** How many are inside at once, and the most there ever were. */
class Inside {
  now = 0
  most = 0

  readonly around = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        this.most = Math.max(this.most, ++this.now)
      }),
      () => effect,
      () => Effect.sync(() => void this.now--)
    )
}

/** 12 instances, of which some cannot be loaded at once, some are corrupt or refused, some replaced while they wait. */
const busyWorld = Effect.fnUntraced(function* (downloaded: number, decompressed: number) {
  yield* TestClock.setTime(epoch)
  const bucket = yield* makeBucket
  const environment = makeEnvironment()
  const merges = new Inside()
  for (let i = 0; i < 12; i++) yield* bucket.put(`i${i}`, epoch - 1_000, { d: [[`k${i}`, 5, "v"]] })
  yield* bucket.store(nameOf("i1", epoch - 1_000), Buffer.from("corrupt"))
  yield* bucket.store(nameOf("i2", epoch - 1_000), objectOf({ ...snapshot({ d: [["x", 1, "v"]] }), compatVersion: 4 }))
  yield* bucket.faults.add({ operation: "load", name: /__i[34]__/, times: 3 }, { kind: "fail", reason: unavailable })
  yield* bucket.faults.add({ operation: "load", name: /__i5__/, times: 1 }, { kind: "hang" })
  yield* bucket.faults.add({ operation: "load", times: 30 }, { kind: "delay", duration: "700 millis" })
  const daemon = yield* startDaemon({
    bucket,
    environments: { main: environment },
    settings: { memory_downloaded_snapshots: downloaded, memory_decompressed_snapshots: decompressed },
    // A merge that takes a while.
    database: (database) => ({
      ...database,
      merge: (request) => merges.around(Effect.delay(database.merge(request), "1500 millis"))
    })
  })
  const most = { download: 0, decompress: 0 }
  for (let step = 0; step < 300; step++) {
    yield* pass(100)
    for (const budget of ["download", "decompress"] as const) {
      most[budget] = Math.max(most[budget], (yield* (yield* daemon.budget).use("main", budget)).active)
    }
    if (step === 40) yield* bucket.put("i7", epoch + 4_000, { d: [["k7", 6, "newer"]] })
  }
  return { bucket, content: yield* environment.content, daemon, merges, most }
})

describe("Budgets", () => {
  it.effect("a chunk is released when it was written into the spool", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch)
      const bucket = yield* makeBucket
      const environment = makeEnvironment()
      // As good as random, or it would be compressed to nothing.
      const value = Buffer.from(
        Array.from({ length: 150_000 }, (_, i) => Math.imul(Math.imul(i, i + 7) ^ (i >>> 3), 0x9e3779b1) >>> 23)
      )
      yield* bucket.put("b", epoch - 1_000, { d: [["k", 5, value.toString("base64")]] })
      const chunks: Array<Uint8Array> = []
      const storage: Storage["Service"] = {
        ...bucket.storage,
        load: (name) =>
          Stream.fromEffect(
            Effect.map(Stream.runCollect(bucket.storage.load(name)), (parts) => {
              const whole = new Uint8Array(Buffer.concat(parts))
              chunks.push(whole)
              return whole
            })
          )
      }
      yield* startDaemon({ bucket, environments: { main: environment }, storage })
      yield* pass(3_000)
      assert.strictEqual((yield* environment.content)["d"]?.length, 1)
      assert.deepStrictEqual(
        chunks.map(({ length }) => length),
        [0]
      )
    })
  )

  for (const [downloaded, decompressed] of [
    [2, 1],
    [3, 3],
    [1, 2]
  ] as const) {
    it.effect(
      `${downloaded} downloaded and ${decompressed} being merged are never exceeded, used, and given back in every way out`,
      () =>
        Effect.gen(function* () {
          const { content, daemon, merges, most } = yield* busyWorld(downloaded, decompressed)
          // A load that hangs keeps one of the permits: with only one nothing else can be loaded.
          const expected = downloaded === 1 ? [1, 1] : [downloaded, Math.min(downloaded, decompressed)]
          assert.deepStrictEqual([most.download, most.decompress], expected)
          assert.isAtMost(merges.most, Math.min(downloaded, decompressed))
          const budget = yield* daemon.budget
          assert.deepStrictEqual(yield* budget.use("main", "decompress"), {
            limit: decompressed,
            active: 0,
            waiting: 0,
            bytes: 0
          })
          if (downloaded > 1) {
            assert.deepInclude(yield* budget.use("main", "download"), { limit: downloaded, active: 1, waiting: 0 })
            assert.deepStrictEqual(
              content["d"]!.map((line) => Buffer.from(line.split(" ")[0]!, "hex").toString()).toSorted(),
              ["k0", "k10", "k11", "k3", "k4", "k6", "k7", "k8", "k9"]
            )
            assert.include(content["d"]!.join("\n"), Buffer.from("newer").toString("hex"))
          }
          yield* daemon.stop
          yield* pass(1_000)
          for (const kind of ["download", "decompress"] as const)
            assert.deepInclude(yield* budget.use("main", kind), { active: 0, waiting: 0, bytes: 0 })
          assert.strictEqual(merges.now, 0)
        })
    )
  }

  it.effect("a newer snapshot takes the place of one that waits for a permit", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch)
      const bucket = yield* makeBucket
      const environment = makeEnvironment()
      yield* bucket.put("b", epoch - 1_000, { d: [["b", 5, "v"]] })
      yield* bucket.put("c", epoch - 1_000, { d: [["c", 5, "old"]] })
      yield* bucket.faults.add({ operation: "load", name: /__b__/ }, { kind: "delay", duration: "3 seconds" })
      yield* startDaemon({ bucket, environments: { main: environment }, settings: { memory_downloaded_snapshots: 1 } })
      yield* pass(1_000)
      yield* bucket.put("c", epoch, { d: [["c", 6, "new"]] })
      yield* pass(5_000)
      assert.notInclude(yield* bucket.callsOf("load"), nameOf("c", epoch - 1_000))
      assert.strictEqual((yield* environment.content)["d"]!.length, 2)
    })
  )

  it.effect("also of one that is loaded and waits to be merged", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch)
      const bucket = yield* makeBucket
      const environment = makeEnvironment()
      yield* bucket.put("b", epoch - 1_000, { d: [["b", 5, "v"]] })
      yield* bucket.put("c", epoch - 1_000, { d: [["c", 5, "old"]] })
      const daemon = yield* startDaemon({
        bucket,
        environments: { main: environment },
        settings: { memory_downloaded_snapshots: 2, memory_decompressed_snapshots: 1 },
        database: (database) => ({
          ...database,
          merge: (request) => Effect.delay(database.merge(request), "3 seconds")
        })
      })
      yield* pass(1_000)
      assert.deepStrictEqual((yield* bucket.callsOf("load")).length, 2)
      const waiting = (yield* (yield* daemon.budget).use("main", "decompress")).waiting
      assert.strictEqual(waiting, 1)
      for (const instance of ["b", "c"]) yield* bucket.put(instance, epoch + 500, { d: [[instance, 6, "new"]] })
      yield* pass(15_000)
      const merged = daemon.logged("Loaded remote update").map(({ fields }) => fields["timestamp"])
      assert.strictEqual(merged.length, 3, "the one that was being merged, and both new ones")
      assert.strictEqual((yield* environment.content)["d"]!.length, 2)
    })
  )
})
