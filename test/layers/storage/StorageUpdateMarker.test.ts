/**
 * The update marker over a store in memory: what it costs, what it shows, and that it never shows less than its marker
 * promises.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import { markerName, type MarkerOptions } from "../../../src/layers/storage/StorageUpdateMarker.ts"
import * as StorageUpdateMarker from "../../../src/layers/storage/StorageUpdateMarker.ts"
import { Storage } from "../../../src/services/Storage.ts"
import * as Faults from "../../support/fakes/StorageFaults.ts"
import { suite, textOf } from "../../contracts/storage-contract.ts"

const options: MarkerOptions = { globalPrefix: "pre/", forceListInterval: Duration.minutes(5) }

suite("memory with an update marker", StorageUpdateMarker.layerWith(options).pipe(Layer.provide(StorageMemory.layer)))

/** One instance's view of the bucket. */
const userOf = (bucket: typeof Storage.Service, overrides: Partial<MarkerOptions> = {}) =>
  Effect.map(
    Layer.build(
      Layer.provide(StorageUpdateMarker.layerWith({ ...options, ...overrides }), Layer.succeed(Storage, bucket))
    ),
    (context) => Context.get(context, Storage)
  )

const makeBucket = Effect.gen(function* () {
  const context = yield* Layer.build(Faults.layer.pipe(Layer.provide(StorageMemory.layer)))
  const faults = Context.get(context, Faults.StorageFaults)
  let seen = 0
  return {
    storage: Context.get(context, Storage),
    faults,
    /** Since the last time it was asked. */
    calls: Effect.map(faults.calls, (all) => {
      const fresh = all.slice(seen).map(({ name, operation }) => `${operation} ${name}`)
      seen = all.length
      return fresh
    })
  }
})

const names = (storage: typeof Storage.Service, prefix = "") =>
  Effect.map(storage.list(prefix), (objects) => objects.map(({ name }) => name))

const markerOf = (bucket: typeof Storage.Service) =>
  Effect.map(Stream.runCollect(bucket.load(markerName)), (chunks) => Buffer.concat(chunks).toString())

describe("StorageUpdateMarker", () => {
  it.effect("the marker holds full name, ETag, nanoseconds and whether it was a delete", () =>
    Effect.gen(function* () {
      const { storage } = yield* makeBucket
      const user = yield* userOf(storage)
      yield* TestClock.setTime(1_750_000_000_123)
      assert.strictEqual(yield* user.store("a", textOf("x")), "1")
      assert.strictEqual(yield* markerOf(storage), "pre/a:1:1750000000123000000:false")
      yield* user.delete("a")
      assert.strictEqual(yield* markerOf(storage), "pre/a::1750000000123000001:true", "never the same twice")
      // A store that doesn't tell its ETag.
      const silent = yield* userOf({ ...storage, store: (name, source) => Effect.asVoid(storage.store(name, source)) })
      yield* TestClock.adjust(1)
      yield* silent.store("b", textOf("x"))
      assert.strictEqual(yield* markerOf(storage), "pre/b::1750000000124000000:false")
    })
  )

  it.effect(
    "an idle poll is one read of the marker, whatever the prefix; a change of anybody's is one listing of everything",
    () =>
      Effect.gen(function* () {
        const { calls, storage } = yield* makeBucket
        const [user, other] = [yield* userOf(storage), yield* userOf(storage)]
        yield* other.store("one", textOf("x"))
        yield* calls
        assert.deepStrictEqual(yield* names(user, "o"), ["one"])
        assert.deepStrictEqual(yield* calls, [`load ${markerName}`, "list "])
        for (const prefix of ["", "o", "one__", "two"]) yield* user.list(prefix)
        assert.deepStrictEqual(
          yield* calls,
          Array.from({ length: 4 }, () => `load ${markerName}`)
        )
        yield* other.store("two", textOf("x"))
        yield* calls
        assert.deepStrictEqual([yield* names(user, "two"), yield* names(user)], [["two"], ["one", "two"]])
        assert.deepStrictEqual(yield* calls, [`load ${markerName}`, "list ", `load ${markerName}`])
        // Our own change, too.
        yield* user.delete("one")
        assert.deepStrictEqual(yield* calls, ["delete one", `store ${markerName}`])
        assert.deepStrictEqual(yield* names(user), ["two"])
        assert.deepStrictEqual(yield* calls, [`load ${markerName}`, "list "])
      })
  )

  it.effect("polls of many databases at once share one listing", () =>
    Effect.gen(function* () {
      const { calls, faults, storage } = yield* makeBucket
      const user = yield* userOf(storage)
      yield* user.store("db7__x", textOf("x"))
      yield* faults.add({ operation: "list" }, { kind: "delay", duration: "1 second" })
      yield* calls
      const polls = Effect.forEach(
        Array.from({ length: 20 }, (_, i) => `db${i}__`),
        (prefix) => names(user, prefix),
        { concurrency: "unbounded" }
      )
      const fiber = yield* Effect.forkChild(polls)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
      assert.strictEqual((yield* calls).filter((call) => call.startsWith("list")).length, 1)
    })
  )

  it.effect("what others store without a marker is seen when the forced interval has passed, not before", () =>
    Effect.gen(function* () {
      const { storage } = yield* makeBucket
      const user = yield* userOf(storage)
      yield* user.store("one", textOf("x"))
      yield* user.list("")
      yield* storage.store("unmarked", textOf("x"))
      yield* TestClock.adjust("299 seconds")
      assert.deepStrictEqual(yield* names(user), ["one"])
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* names(user), ["one", "unmarked"])
    })
  )

  it.effect("without a marker, or with one that cannot be one, every listing is made", () =>
    Effect.gen(function* () {
      const { storage } = yield* makeBucket
      const user = yield* userOf(storage)
      yield* storage.store("one", textOf("x"))
      assert.deepStrictEqual(yield* names(user), ["one"])
      yield* storage.store("two", textOf("x"))
      assert.deepStrictEqual(yield* names(user, "t"), ["two"])
      yield* storage.store(markerName, textOf("x".repeat(100_000)))
      assert.deepStrictEqual(yield* names(user), ["one", "two"])
      yield* storage.store("three", textOf("x"))
      assert.deepStrictEqual(yield* names(user), ["one", "three", "two"])
    })
  )

  it.effect("the marker is never listed, nor that of others where none is used", () =>
    Effect.gen(function* () {
      const { storage } = yield* makeBucket
      const user = yield* userOf(storage)
      yield* user.store("update-marker-not", textOf("x"))
      for (const prefix of ["", "update-marker"])
        assert.deepStrictEqual(yield* names(user, prefix), ["update-marker-not"])
      const plain = Context.get(
        yield* Layer.build(Layer.provide(StorageUpdateMarker.hidden, Layer.succeed(Storage, storage))),
        Storage
      )
      assert.deepStrictEqual(yield* names(plain), ["update-marker-not"])
      assert.deepStrictEqual(yield* names(storage), [markerName, "update-marker-not"])
    })
  )

  it.effect(
    "a store or delete whose marker cannot be written has failed; a listing whose marker cannot be read, too",
    () =>
      Effect.gen(function* () {
        const { calls, faults, storage } = yield* makeBucket
        const user = yield* userOf(storage)
        yield* faults.add(
          { operation: "store", name: markerName, times: 2 },
          { kind: "fail", reason: Faults.unavailable }
        )
        assert.deepStrictEqual((yield* Effect.flip(user.store("one", textOf("x")))).reason, Faults.unavailable)
        assert.deepStrictEqual((yield* Effect.flip(user.delete("one"))).reason, Faults.unavailable)
        yield* user.store("one", textOf("x"))
        yield* user.list("")
        yield* calls
        yield* faults.add({ operation: "load", name: markerName }, { kind: "fail", reason: Faults.unavailable })
        assert.deepStrictEqual((yield* Effect.flip(user.list(""))).reason, Faults.unavailable)
        assert.deepStrictEqual(
          yield* calls,
          [`load ${markerName}`],
          "no listing that would hide the outage of half a bucket"
        )
        // An object that could not be stored leaves the marker as it is.
        yield* faults.add({ operation: "store", name: "two" }, { kind: "fail", reason: Faults.unavailable })
        yield* Effect.flip(user.store("two", textOf("x")))
        assert.deepStrictEqual(yield* calls, ["store two"])
      })
  )

  it.effect("a listing that was under way during a change of our own is not remembered", () =>
    Effect.gen(function* () {
      const { faults, storage } = yield* makeBucket
      // Its content is of before the change, and so is its marker; the marker of the change gets lost.
      const user = yield* userOf({
        ...storage,
        list: (prefix) => Effect.tap(storage.list(prefix), () => Effect.sleep("1 second"))
      })
      yield* user.store("one", textOf("x"))
      yield* faults.add({ operation: "store", name: markerName }, { kind: "fail", reason: Faults.unavailable })
      const listing = yield* Effect.forkChild(user.list(""))
      yield* TestClock.adjust("500 millis")
      yield* Effect.flip(user.store("two", textOf("x")))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(listing.pollUnsafe()?._tag, "Success")
      const next = yield* Effect.forkChild(names(user))
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* Fiber.join(next), ["one", "two"])
    })
  )

  it.effect("an operation with its marker ends within the timeout", () =>
    Effect.gen(function* () {
      const { faults, storage } = yield* makeBucket
      const user = yield* userOf(storage, { timeout: Duration.seconds(10) })
      yield* faults.add({ operation: "store", name: "one" }, { kind: "delay", duration: "6 seconds" })
      yield* faults.add({ operation: "store", name: markerName }, { kind: "delay", duration: "6 seconds" })
      const fiber = yield* Effect.forkChild(Effect.flip(user.store("one", textOf("x"))))
      yield* TestClock.adjust("6 seconds")
      yield* TestClock.adjust("4 seconds")
      const exit = fiber.pollUnsafe()
      assert.deepInclude(exit?._tag === "Success" ? exit.value.reason : undefined, {
        _tag: "Unavailable",
        code: "Timeout"
      })
    })
  )
})

const Delay = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 }))

/** What an instance does, and how long each request of its takes, so that those of several interleave in every way. */
const Step = Schema.Struct({
  user: Schema.Literals([0, 1, 2]),
  act: Schema.Literals(["store", "delete", "list", "list again"]),
  object: Schema.Literals(["a", "b", "c"]),
  delays: Schema.Tuple([Delay, Delay, Delay])
})

describe("StorageUpdateMarker, any interleaving", () => {
  it.effect.prop(
    "a listing is never older than the marker read before it, and up to date when all is quiet",
    [Schema.Array(Step).check(Schema.isMinLength(20), Schema.isMaxLength(60))],
    ([steps]) =>
      Effect.gen(function* () {
        const { storage } = yield* makeBucket
        let tick = 0
        /** What the bucket held after each change, and when. */
        const history: Array<{ readonly at: number; readonly content: string }> = [{ at: 0, content: "" }]
        /** When the marker that is there now was written. */
        let markedAt = 0
        const record = Effect.gen(function* () {
          const objects = (yield* storage.list("")).filter(({ name }) => name !== markerName)
          history.push({ at: ++tick, content: objects.map(({ etag, name }) => `${name}:${etag}`).join() })
        })
        const users = yield* Effect.forEach([0, 1, 2], () =>
          Effect.gen(function* () {
            let delays: ReadonlyArray<number> = []
            let markedAtRead = 0
            const slow = Effect.suspend(() => {
              const [first = 0, ...rest] = delays
              delays = [...rest, first]
              return Effect.sleep(first * 10)
            })
            // Each request takes effect in one moment, somewhere between its beginning and its end.
            const remote = Storage.of({
              place: "remote",
              list: (prefix) =>
                Effect.andThen(
                  slow,
                  Effect.tap(storage.list(prefix), () => slow)
                ),
              load: (name) =>
                Stream.unwrap(
                  Effect.gen(function* () {
                    yield* slow
                    markedAtRead = markedAt
                    const chunks = yield* Effect.exit(Stream.runCollect(storage.load(name)))
                    yield* slow
                    return chunks._tag === "Success"
                      ? Stream.fromIterable(chunks.value)
                      : Stream.failCause(chunks.cause)
                  })
                ),
              store: (name, source) =>
                Effect.gen(function* () {
                  yield* slow
                  const etag = yield* storage.store(name, source)
                  if (name === markerName) markedAt = ++tick
                  else yield* record
                  yield* slow
                  return etag
                }),
              delete: (name) => Effect.andThen(slow, Effect.andThen(Effect.andThen(storage.delete(name), record), slow))
            })
            const user = yield* userOf(remote, { forceListInterval: Duration.days(1) })
            const check = Effect.gen(function* () {
              const objects = yield* user.list("")
              const content = objects.map(({ etag, name }) => `${name}:${etag}`).join()
              const latest = history.findLast((entry) => entry.content === content)
              assert.isDefined(latest, `${content} was never in the bucket`)
              const next = history.find((entry) => entry.at > latest!.at)
              // It was still so when the marker that was read was written, or later.
              assert.isTrue(
                next === undefined || next.at > markedAtRead,
                `listed ${content}, which was over at ${next?.at}; the marker was of ${markedAtRead}`
              )
              return content
            })
            return {
              check,
              run: Effect.fnUntraced(function* (step: typeof Step.Type) {
                delays = step.delays
                if (step.act === "store") yield* user.store(step.object, textOf("x"))
                else if (step.act === "delete") yield* user.delete(step.object)
                else yield* check
              })
            }
          })
        )
        const all = Effect.forEach(
          users,
          ({ run }, index) =>
            Effect.forEach(
              steps.filter(({ user }) => user === index),
              run,
              { discard: true }
            ),
          { concurrency: "unbounded", discard: true }
        )
        // When all is done, everybody sees what is there.
        const settled = Effect.forEach(users, ({ check }) =>
          Effect.map(check, (content) => assert.strictEqual(content, history.at(-1)!.content))
        )
        const fiber = yield* Effect.forkChild(Effect.andThen(all, settled))
        for (let i = 0; i < 400 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust(10)
        const exit = fiber.pollUnsafe()
        if (exit?._tag !== "Success") return yield* exit ?? Effect.die("did not end")
      }),
    { arbitrary: { runs: 200 } }
  )
})
