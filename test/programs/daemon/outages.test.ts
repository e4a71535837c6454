/**
 * Two daemons and a bucket that fails in every way: they go on, say so once an outage, and are one again when it is
 * over.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as StorageUpdateMarker from "../../../src/layers/storage/StorageUpdateMarker.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { type Fault, type Operation, outages, type Target } from "../../support/fakes/StorageFaults.ts"
import { epoch, makeBucket, makeEnvironment, makeWorld, pass, type RunningDaemon, startDaemon } from "./World.ts"

/** Two daemons that have each other's first entry. */
const makePair = Effect.gen(function* () {
  yield* TestClock.setTime(epoch)
  const bucket = yield* makeBucket
  const makeSide = Effect.fnUntraced(function* (instance: string) {
    const environment = makeEnvironment()
    yield* environment.put({ d: [[`first-${instance}`, 1, "v"]] })
    return {
      ...environment,
      daemon: yield* startDaemon({ bucket, environments: { main: environment }, settings: { instance } })
    }
  })
  const [a, b] = [yield* makeSide("a"), yield* makeSide("b")]
  yield* pass(5_000)
  assert.deepStrictEqual(yield* a.content, yield* b.content)
  assert.strictEqual((yield* a.content)["d"]!.length, 2)
  return {
    bucket,
    a,
    b,
    fail: (target: Target, fault: Fault) => bucket.faults.add({ times: Infinity, ...target }, fault)
  }
})

type Pair = Effect.Success<typeof makePair>

/** Both applications write, and everybody comes to hold all of it. */
const converge = Effect.fnUntraced(function* ({ a, b }: Pair, entries: number) {
  assert.deepStrictEqual(yield* a.content, yield* b.content)
  assert.strictEqual((yield* a.content)["d"]!.length, entries)
  for (const { daemon } of [a, b]) {
    assert.isUndefined(yield* daemon.ended)
    assert.deepStrictEqual(yield* daemon.failing, [])
    assert.strictEqual(daemon.logged("Snapshot quarantined").length, 0)
  }
})

const loggedOnce = (daemon: RunningDaemon, what: string) => {
  assert.strictEqual(daemon.logged(`Cannot ${what}`).length, 1, what)
  assert.strictEqual(daemon.logged(`Recovered: can ${what} again`).length, 1, what)
}

const operations: ReadonlyArray<Operation> = ["list", "load", "store", "delete"]

describe("An outage", () => {
  for (const [name, fault] of Object.entries(outages)) {
    it.effect(
      `by ${name} of every call: what is written meanwhile arrives when it is over, in its newest state, and it is told once`,
      () =>
        Effect.gen(function* () {
          const pair = yield* makePair
          const { a, b, bucket, fail } = pair
          const before = (yield* bucket.names).length
          for (const operation of operations) yield* fail({ operation }, fault)
          for (let round = 1; round <= 3; round++) {
            yield* a.put({ d: [["of-a", 10 + round, `${round}`]] })
            yield* b.put({ d: [["of-b", 10 + round, `${round}`]] })
            yield* pass(30_000)
          }
          assert.strictEqual((yield* a.content)["d"]!.length, 3, "nothing came through")
          yield* bucket.faults.clear
          // The pause between two attempts is a minute at most.
          yield* pass(80_000)
          yield* converge(pair, 4)
          for (const { daemon } of [a, b]) {
            loggedOnce(daemon, "list snapshots")
            loggedOnce(daemon, "store a snapshot")
          }
          // One each at the end of the outage, not one for each state that could not be stored; a lost answer was
          // stored each time.
          if (fault.kind !== "fail after") assert.strictEqual((yield* bucket.names).length - before, 2)
        })
    )

    it.effect(`by ${name} of loads alone: sending goes on, and what could not be loaded is`, () =>
      Effect.gen(function* () {
        const pair = yield* makePair
        const { a, b, bucket, fail } = pair
        yield* fail({ operation: "load", name: /__a__/ }, fault)
        yield* a.put({ d: [["of-a", 11, "1"]] })
        yield* b.put({ d: [["of-b", 11, "1"]] })
        yield* pass(60_000)
        assert.strictEqual((yield* a.content)["d"]!.length, 4)
        assert.strictEqual((yield* b.content)["d"]!.length, 3)
        yield* bucket.faults.clear
        yield* pass(25_000)
        yield* converge(pair, 4)
        loggedOnce(b.daemon, "load a snapshot")
        assert.strictEqual(a.daemon.logged("Cannot").length, 0)
      })
    )
  }

  it.effect("by bodies that break off: they are loaded again, and never taken for corrupt", () =>
    Effect.gen(function* () {
      const pair = yield* makePair
      const { a, b, bucket, fail } = pair
      yield* fail({ operation: "load" }, { kind: "cut", bytes: 20 })
      yield* a.put({ d: [["of-a", 11, "1"]] })
      yield* pass(60_000)
      assert.strictEqual((yield* b.content)["d"]!.length, 2)
      yield* bucket.faults.clear
      yield* pass(10_000)
      yield* converge(pair, 3)
      loggedOnce(b.daemon, "load a snapshot")
    })
  )

  it.effect("by slowness is none: a body that trickles in is merged, and others are not held up by it", () =>
    Effect.gen(function* () {
      const pair = yield* makePair
      const { a, b, bucket, fail } = pair
      yield* fail({ operation: "load", name: /__a__/ }, { kind: "trickle", bytes: 20, pause: "5 seconds" })
      yield* a.put({ d: [["of-a", 11, "1"]] })
      yield* bucket.put("c", epoch, { d: [["of-c", 11, "1"]] })
      yield* pass(10_000)
      assert.strictEqual((yield* b.content)["d"]!.length, 3, "that of c")
      yield* pass(60_000)
      yield* converge(pair, 4)
      for (const { daemon } of [a, b]) assert.strictEqual(daemon.logged("Cannot").length, 0)
    })
  )

  it.effect("by slowness of every call is none: everything arrives that much later", () =>
    Effect.gen(function* () {
      const pair = yield* makePair
      const { a, b, fail } = pair
      for (const operation of operations) yield* fail({ operation }, { kind: "delay", duration: "20 seconds" })
      yield* a.put({ d: [["of-a", 11, "1"]] })
      yield* b.put({ d: [["of-b", 11, "1"]] })
      yield* pass(30_000)
      assert.strictEqual((yield* a.content)["d"]!.length, 3, "stored by now, but listed and loaded by nobody")
      yield* pass(90_000)
      yield* converge(pair, 4)
      for (const { daemon } of [a, b]) assert.strictEqual(daemon.logged("Cannot").length, 0)
    })
  )

  it.effect(
    "by a listing that lags behind is none: everything arrives that much later, and what is gone from the bucket is passed over",
    () =>
      Effect.gen(function* () {
        const pair = yield* makePair
        const { a, b, bucket, fail } = pair
        yield* fail({ operation: "list" }, { kind: "list lags", behind: "30 seconds" })
        for (let round = 1; round <= 5; round++) {
          yield* a.put({ d: [["of-a", 10 + round, `${round}`]] })
          yield* b.put({ d: [["of-b", 10 + round, `${round}`]] })
          yield* pass(5_000)
          // A cleaner: the newest of each instance stays.
          for (const instance of ["a", "b"]) {
            const stored = (yield* bucket.callsOf("store"))
              .filter((name) => name.includes(`__${instance}__`))
              .toSorted()
            for (const name of stored.slice(0, -1)) yield* bucket.storage.delete(name)
          }
        }
        assert.strictEqual((yield* b.content)["d"]!.length, 3)
        yield* pass(40_000)
        yield* converge(pair, 4)
        for (const { daemon } of [a, b]) assert.strictEqual(daemon.logged("Cannot").length, 0)
      })
  )
})

describe("An idle daemon", () => {
  for (const marked of [false, true]) {
    it.effect(`calls the store once per poll: ${marked ? "it reads the marker" : "it lists"}`, () =>
      Effect.gen(function* () {
        const { bucket, put, start } = yield* makeWorld()
        yield* put({ d: [["k", 5, "v"]] })
        const marker = StorageUpdateMarker.layerWith({ globalPrefix: "", forceListInterval: Duration.minutes(5) })
        const context = yield* Layer.build(Layer.provide(marker, Layer.succeed(Storage, bucket.storage)))
        yield* start({
          storage: marked ? Context.get(context, Storage) : bucket.storage,
          settings: { storage_poll_interval: Duration.seconds(1) }
        })
        yield* pass(10_000)
        const before = (yield* bucket.faults.calls).length
        yield* pass(60_000)
        const calls = (yield* bucket.faults.calls).slice(before).map(({ name, operation }) => `${operation} ${name}`)
        assert.deepStrictEqual([...new Set(calls)], [marked ? "load update-marker" : "list main__"])
        assert.strictEqual(calls.length, 60)
      })
    )
  }
})
