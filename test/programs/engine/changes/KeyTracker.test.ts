/** What is known of changed keys, when it is given up, and that nothing is lost when what was looked at was in vain. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { ChangeLog } from "../../../../src/programs/engine/changes/ChangeLog.ts"
import { KeyTracker } from "../../../../src/programs/engine/changes/KeyTracker.ts"
import { PendingKeys } from "../../../../src/programs/engine/changes/PendingKeys.ts"
import { ChangesUnknown, Lmdb, LmdbError, ReadersFull, type WriteTransaction } from "../../../../src/services/Lmdb.ts"
import { directory, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"
import { replacing } from "../../../support/fakes/ReplacedLmdb.ts"
import { drop, put, remove } from "../../../support/fixtures/ShadowEnvironments.ts"
import { warningsOf } from "../../../support/Warnings.ts"

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
  replacing(LmdbMemory.layerWith(), (inner) => {
    const error = new LmdbError({ path: inner.path, reason })
    const unless = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.suspend((): Effect.Effect<A, E | LmdbError, R> => (isOn() ? Effect.fail(error) : effect))
    return operation === "read"
      ? { read: unless(inner.read) }
      : { changes: (...views) => unless(inner.changes(...views)) }
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
        yield* change(put("d", { b: "w" }))
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
          assert.deepStrictEqual(warnings, ["Cannot track changes, comparing all entries instead"])
          assert.isAtLeast((yield* tracker.tracking).givenUp, 2)
          isOn = false
          yield* look(tracker)
          if (operation === "changes") {
            // Without a poll before it.
            yield* change(entry("d"))
            isOn = true
            assert.strictEqual(yield* look(tracker), "all")
            isOn = false
          }
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

/** What has changed since a bookmark, with a new one at the newest state. */
const markAt = (tracker: KeyTracker, timestampNano: bigint, fromNano?: bigint) =>
  Effect.scoped(
    Effect.map(
      tracker.mark({ timestampNano, keptNano: fromNano === undefined ? [] : [fromNano], fromNano }),
      (marked) => (marked === undefined ? undefined : { id: marked.view.id, changes: keysIn(marked.changes?.keys) })
    )
  )

describe("KeyTracker, for deltas", () => {
  it.live("follows from a bookmark on, and has no pin before the first", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker(new ChangeLog(false))
        yield* change(entry("a"))
        yield* tracker.poll
        assert.strictEqual((yield* tracker.tracking).pinMillis, 0)
        assert.isUndefined(yield* markAt(tracker, 1n, 0n), "a delta from where nothing is known")
        yield* markAt(tracker, 1n)
        yield* change(entry("b"), remove("d", "a"))
        yield* tracker.poll
        yield* change(entry("c"))
        assert.deepStrictEqual((yield* markAt(tracker, 2n, 1n))?.changes, ["a", "b", "c"])
        yield* tracker.release
        assert.isUndefined(yield* markAt(tracker, 3n, 2n))
      }),
      LmdbMemory.layerWith()
    )
  )

  it.live("the view of a dump stays, and the pin moves on", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker(new ChangeLog(false))
        const { info } = yield* Lmdb
        yield* change(entry("a"))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const marked = yield* tracker.mark({ timestampNano: 1n, keptNano: [] })
            yield* change(entry("b"))
            yield* tracker.poll
            assert.strictEqual((yield* info).readers, 2)
            const cursor = marked!.view.cursor(d)
            assert.deepStrictEqual([cursor.next(), cursor.next()], [true, false])
          })
        )
        assert.strictEqual((yield* info).readers, 1)
        assert.deepStrictEqual((yield* markAt(tracker, 2n, 1n))?.changes, ["b"])
        yield* tracker.release
        assert.strictEqual((yield* info).readers, 0)
      }),
      LmdbMemory.layerWith()
    )
  )

  it.live("one comparison serves the copy and the log, each for as long as it wants", () =>
    Effect.provide(
      Effect.gen(function* () {
        const log = new ChangeLog(false, 8_000)
        const tracker = new KeyTracker(log)
        yield* change(entry("a"), put("e", { a: "v" }))
        yield* look(tracker)
        yield* markAt(tracker, 1n)
        yield* change(entry("b"))
        yield* tracker.poll
        assert.deepStrictEqual((yield* markAt(tracker, 2n, 1n))?.changes, ["b"])
        assert.deepStrictEqual<Known>(yield* look(tracker), ["b"])
        // Too much for the log, in a DBI before the one with what the copy looks at.
        const many = Array.from({ length: 500 }, (_, i) => [`${i}`, "v"] as const)
        yield* change(put("a", { a: "v" }), entry("c"))
        yield* look(tracker)
        yield* markAt(tracker, 3n)
        yield* change((transaction) => {
          put("a", many)(transaction)
          entry("f")(transaction)
        })
        yield* tracker.poll
        assert.isFalse(log.isKnown)
        assert.deepStrictEqual<Known>(yield* look(tracker), ["f"])
        assert.strictEqual((yield* tracker.tracking).givenUp, 1)
        assert.isUndefined(yield* markAt(tracker, 4n, 3n))
      }),
      LmdbMemory.layerWith()
    )
  )

  it.live("has no pin while there is little room in the map, and says so once", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker(new ChangeLog(false))
        const filler = Buffer.alloc(100_000)
        const fill = (key: string) => (transaction: WriteTransaction) =>
          transaction.put(d, Buffer.from(key), 0, key.length, filler, 0, filler.length, false)
        yield* change(entry("a"))
        yield* markAt(tracker, 1n)
        yield* change(...Array.from({ length: 8 }, (_, i) => fill(`large ${i}`)))
        yield* tracker.poll
        assert.isAbove((yield* tracker.tracking).pendingKeys, 0)
        const warnings = yield* warningsOf(
          Effect.gen(function* () {
            yield* change(fill("large 8"))
            yield* tracker.poll
            assert.deepInclude(yield* tracker.tracking, { pinMillis: 0, pendingKeys: 0 })
            assert.strictEqual((yield* (yield* Lmdb).info).readers, 0)
            assert.isUndefined(yield* markAt(tracker, 2n, 1n))
            assert.isUndefined(yield* markAt(tracker, 2n))
            assert.strictEqual((yield* (yield* Lmdb).info).readers, 0)
          })
        )
        assert.lengthOf(warnings, 1)
        assert.include(warnings[0], "The map is nearly full")
        yield* change(remove("d", "large 7", "large 8"))
        yield* markAt(tracker, 3n)
        yield* change(entry("b"))
        assert.deepStrictEqual((yield* markAt(tracker, 4n, 3n))?.changes, ["b"])
      }),
      LmdbMemory.layerWith({ mapSize: 1_000_000 })
    )
  )
})

describe("PendingKeys", () => {
  it.live("of a DBI with MDB_DUPSORT, any key may have changed", () =>
    Effect.provide(
      Effect.gen(function* () {
        const tracker = new KeyTracker()
        yield* change(put("d", { a: "v" }, 4))
        yield* look(tracker)
        yield* change(put("d", { b: "v" }, 4))
        assert.strictEqual(yield* look(tracker), "all")
        assert.deepStrictEqual<Known>(yield* look(tracker), [])
      }),
      LmdbMemory.layerWith()
    )
  )
})
