/** What is known of changed keys, when it is given up, and that nothing is lost when what was looked at was in vain. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { KeyTracker } from "../../../../src/programs/engine/changes/KeyTracker.ts"
import { PendingKeys } from "../../../../src/programs/engine/changes/PendingKeys.ts"
import { ChangesUnknown, Lmdb, LmdbError, ReadersFull, type WriteTransaction } from "../../../../src/services/Lmdb.ts"
import { directory, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"
import { drop, put, remove } from "../../../support/fixtures/ShadowEnvironments.ts"

const d = DbiName.fromText("d")

const change = (...steps: ReadonlyArray<(transaction: WriteTransaction) => void>) =>
  Effect.flatMap(Lmdb, ({ write }) =>
    Effect.forEach(steps, (step) => write((transaction) => Effect.sync(() => step(transaction))))
  )

type Known = ReadonlyArray<string> | "all"

/** Of DBI "d"; "all" when they are not known. */
const keysIn = (changed: PendingKeys | undefined): Known => {
  const keys = changed?.of(d)
  if (keys === undefined) return "all"
  return Array.from({ length: keys.count }, (_, i) =>
    Buffer.from(keys.bytes.subarray(keys.startOf(i), keys.endOf(i))).toString()
  ).sort()
}

/** What a look finds, with `kept` as its outcome. */
const look = (tracker: KeyTracker, isKept = true) =>
  Effect.gen(function* () {
    let found: Known = []
    yield* tracker.look(
      (_, changed) => Effect.sync(() => void (found = keysIn(changed))),
      () => Effect.succeed(isKept ? "kept" : undefined)
    )
    return found as Known
  })

const entry = (key: string) => put("d", [[key, "v"]])

/** Fails like that from now on, while `isOn`. */
const failing = (reason: LmdbError["reason"], operation: "changes" | "read", isOn: () => boolean) =>
  Layer.effect(
    Lmdb,
    Effect.map(Lmdb, (inner) => {
      const error = new LmdbError({ path: inner.path, reason })
      const unless = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.suspend((): Effect.Effect<A, E | LmdbError, R> => (isOn() ? Effect.fail(error) : effect))
      return Lmdb.of({
        ...inner,
        read: operation === "read" ? unless(inner.read) : inner.read,
        changes: (...views) => (operation === "changes" ? unless(inner.changes(...views)) : inner.changes(...views))
      })
    })
  ).pipe(Layer.provide(LmdbMemory.layerWith()))

const warningsOf = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const warnings: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") warnings.push(String(Array.isArray(message) ? message[0] : message))
  })
  yield* Effect.provide(effect, Logger.layer([logger]))
  return warnings
})

describe("KeyTracker", () => {
  it.live("knows nothing at first, then what has changed since the look before", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker()
        yield* change(entry("a"), entry("b"))
        assert.strictEqual(yield* look(tracker), "all")
        assert.deepStrictEqual<Known>(yield* look(tracker), [])
        yield* change(entry("c"), remove("d", "a"))
        yield* tracker.poll
        yield* change(put("d", [["b", "w"]]))
        assert.strictEqual((yield* tracker.tracking).pendingKeys, 2)
        assert.deepStrictEqual<Known>(yield* look(tracker), ["a", "b", "c"])
        assert.deepStrictEqual<Known>(yield* look(tracker), [])
        yield* tracker.release
        assert.strictEqual(yield* look(tracker), "all")
      }),
      LmdbMemory.layerWith()
    )
  )

  it.live("keeps what was looked at in vain, with what has changed since", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker()
        assert.strictEqual(yield* look(tracker, false), "all")
        assert.strictEqual(yield* look(tracker), "all", "what was unknown stays unknown")
        yield* change(entry("a"))
        assert.strictEqual(yield* look(tracker), "all", "the DBI is new")
        yield* change(entry("b"))
        assert.deepStrictEqual<Known>(yield* look(tracker, false), ["b"])
        yield* change(entry("c"))
        const failed = Effect.fail("no" as const)
        assert.strictEqual(yield* Effect.flip(tracker.look(() => failed, Effect.succeed)), "no")
        assert.strictEqual(
          yield* Effect.flip(
            tracker.look(
              () => Effect.void,
              () => failed
            )
          ),
          "no"
        )
        yield* change(entry("e"))
        assert.deepStrictEqual<Known>(yield* look(tracker), ["b", "c", "e"])
        yield* change(entry("f"))
        yield* tracker.lookAtAll(Effect.succeed("kept"))
        yield* change(entry("g"))
        assert.deepStrictEqual<Known>(yield* look(tracker), ["f", "g"], "more than has to be looked at, never less")
      }),
      LmdbMemory.layerWith()
    )
  )

  it.live("an interruption loses nothing", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker()
        yield* change(entry("a"))
        yield* look(tracker)
        yield* change(entry("b"))
        yield* Effect.timeoutOption(
          tracker.look(
            () => Effect.void,
            () => Effect.never
          ),
          "5 millis"
        )
        assert.deepStrictEqual<Known>(yield* look(tracker), ["b"])
      }),
      LmdbMemory.layerWith()
    )
  )

  it.live("a DBI that was dropped and made again between two looks is looked at as a whole", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker()
        yield* change(entry("a"))
        yield* look(tracker)
        yield* change(drop("d"))
        yield* tracker.poll
        yield* change(entry("b"))
        assert.strictEqual(yield* look(tracker), "all")
        assert.deepStrictEqual<Known>(yield* look(tracker), [])
      }),
      LmdbMemory.layerWith()
    )
  )

  it.live("gives up beyond its limit, and begins again", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker()
        yield* change(entry("a"))
        yield* look(tracker)
        const many = Array.from({ length: 30_000 }, (_, i) => [`${i}`.padEnd(300), ""] as const)
        yield* change((transaction) => {
          for (const [key] of many) transaction.put(d, Buffer.from(key), 0, 300, Buffer.from(key), 0, 0, false)
        })
        yield* tracker.poll
        yield* tracker.poll
        const { givenUp, pendingBytes, pinMillis } = yield* tracker.tracking
        assert.deepStrictEqual({ givenUp, pendingBytes, pinMillis }, { givenUp: 1, pendingBytes: 0, pinMillis: 0 })
        assert.strictEqual(yield* look(tracker), "all")
        yield* change(entry("z"))
        assert.deepStrictEqual<Known>(yield* look(tracker), ["z"])
      }),
      LmdbMemory.layerWith({ mapSize: 2 ** 28 })
    )
  )

  for (const [reason, operation] of [
    [new ChangesUnknown({ detail: "page 7 is no leaf page" }), "changes"],
    [new ReadersFull({ maximum: 1 }), "read"]
  ] as const) {
    it.live(`${reason._tag} is said once, and everything is looked at instead`, () => {
      let isOn = false
      return Effect.provide(
        Effect.gen(function* () {
          const tracker = new KeyTracker()
          yield* change(entry("a"))
          yield* look(tracker)
          isOn = true
          const warnings = yield* warningsOf(
            Effect.gen(function* () {
              for (const key of ["b", "c"]) {
                yield* change(entry(key))
                yield* tracker.poll
                isOn = operation === "changes"
                assert.strictEqual(yield* look(tracker), "all")
                isOn = true
              }
            })
          )
          assert.deepStrictEqual(warnings, ["Cannot follow what changes, looking at everything instead"])
          assert.isAtLeast((yield* tracker.tracking).givenUp, 2)
          isOn = false
          yield* look(tracker)
          yield* change(entry("e"))
          assert.deepStrictEqual<Known>(yield* look(tracker), ["e"])
        }),
        failing(reason, operation, () => isOn)
      )
    })
  }

  it.live("has one read transaction open, and none after its release", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const path = `${yield* directory}/lmdb`
        yield* Effect.provide(
          Effect.gen(function* () {
            const { info } = yield* Lmdb
            const tracker = new KeyTracker()
            yield* change(entry("a"))
            for (const key of ["b", "c", "d"]) {
              yield* look(tracker)
              yield* change(entry(key))
              yield* tracker.poll
            }
            assert.deepStrictEqual<Known>(yield* look(tracker), ["d"])
            const open = (yield* info).readers
            yield* tracker.release
            assert.isBelow((yield* info).readers, open + 1)
            assert.strictEqual((yield* tracker.tracking).pinMillis, 0)
          }),
          LmdbNative.layerWith(optionsOf(path))
        )
      })
    )
  )
})

describe("PendingKeys", () => {
  it.live("of a DBI with MDB_DUPSORT, any key may have changed", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker()
        yield* change(put("d", [["a", "v"]], 4))
        yield* look(tracker)
        yield* change(put("d", [["b", "v"]], 4))
        assert.strictEqual(yield* look(tracker), "all")
        assert.deepStrictEqual<Known>(yield* look(tracker), [])
      }),
      LmdbMemory.layerWith()
    )
  )
})
