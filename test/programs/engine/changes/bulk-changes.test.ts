/** A change of many entries: the comparison ends early, and what it has not seen is in what replaces it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as DbiName from "../../../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../../../src/layers/lmdb/native/LmdbNative.ts"
import { ChangeLog } from "../../../../src/programs/engine/changes/ChangeLog.ts"
import { KeyTracker } from "../../../../src/programs/engine/changes/KeyTracker.ts"
import type { PendingKeys } from "../../../../src/programs/engine/changes/PendingKeys.ts"
import { WalkedDbis } from "../../../../src/programs/engine/merge/WalkedDbis.ts"
import { Lmdb, type LmdbError, type WriteTransaction } from "../../../../src/services/Lmdb.ts"
import { Choices } from "../../../simulation/Choices.ts"
import { directory, optionsOf } from "../../../support/fakes/LmdbNativeSubject.ts"
import { put } from "../../../support/fixtures/ShadowEnvironments.ts"

const d = DbiName.fromText("d")
const e = DbiName.fromText("e")

const entries = 20_000
const keyOf = (n: number): string => String(n).padStart(20, "0")

/** Gives these entries of a DBI a value that they never had before. */
let values = 0
const touch = (dbi: string, numbers: Iterable<number>) => {
  const value = `value ${values++} `.padEnd(60, "-")
  return put(
    dbi,
    Array.from(numbers, (n) => [keyOf(n), value] as const)
  )
}

function* every(step: number, end = entries) {
  for (let n = 0; n < end; n += step) yield n
}

const change = (...steps: ReadonlyArray<(transaction: WriteTransaction) => void>) =>
  Effect.flatMap(Lmdb, ({ write }) =>
    Effect.forEach(steps, (step) => write((transaction) => Effect.sync(() => step(transaction))))
  )

const keysOf = (changed: PendingKeys | undefined, dbi: DbiName.DbiName): ReadonlyArray<string> | undefined => {
  const keys = changed?.of(dbi)
  if (keys === undefined) return undefined
  return Array.from({ length: keys.count }, (_, i) =>
    Buffer.from(keys.bytes.subarray(keys.startOf(i), keys.endOf(i))).toString()
  ).sort()
}

/** Counts the keys that comparisons report. */
const counting = (inner: Layer.Layer<Lmdb, LmdbError>, count: { keys: number }) =>
  Layer.effect(
    Lmdb,
    Effect.map(Lmdb, (lmdb) =>
      Lmdb.of({
        ...lmdb,
        changes: (before, after, sink) =>
          lmdb.changes(before, after, {
            ...sink,
            key: (...key) => {
              count.keys++
              return sink.key(...key)
            }
          })
      })
    )
  ).pipe(Layer.provide(inner))

const overEach = (
  name: string,
  test: (count: { keys: number }) => Effect.Effect<void, { readonly message: string }, Lmdb>
) => {
  it.live(`${name} (LmdbMemory)`, () => {
    const count = { keys: 0 }
    return Effect.provide(test(count), counting(LmdbMemory.layerWith({ mapSize: 2 ** 28 }), count))
  })
  it.live(`${name} (LmdbNative)`, () =>
    Effect.scoped(
      Effect.gen(function* () {
        const count = { keys: 0 }
        const options = optionsOf(`${yield* directory}/lmdb`, { mapSize: 2 ** 28 })
        yield* Effect.provide(test(count), counting(LmdbNative.layerWith(options), count))
      })
    )
  )
}

/** Sets a bookmark, and returns the keys of "d" and "e" that have changed since another one, if they are known. */
const markAt = (tracker: KeyTracker, timestampNano: bigint, fromNano?: bigint) =>
  Effect.scoped(
    Effect.map(
      tracker.mark({ timestampNano, keptNano: fromNano === undefined ? [] : [fromNano], fromNano }),
      (marked) => (marked?.changes === undefined ? undefined : [d, e].map((dbi) => keysOf(marked.changes?.keys, dbi)))
    )
  )

/** Returns the keys of "d" and "e" that the copy main → shadow must examine, or undefined for all. */
const look = (tracker: KeyTracker) =>
  Effect.gen(function* () {
    let found: ReadonlyArray<ReadonlyArray<string> | undefined> = []
    yield* tracker.look(
      (_, changed) => Effect.sync(() => void (found = [d, e].map((dbi) => keysOf(changed, dbi)))),
      () => Effect.succeed("kept")
    )
    return found
  })

describe("a change of many entries, for deltas", () => {
  overEach("more than a third of all: the comparison ends after a small part of them", (count) =>
    Effect.gen(function* () {
      const log = new ChangeLog(false)
      const tracker = new KeyTracker(log)
      yield* change(touch("d", every(1)), touch("e", every(1, 100)))
      yield* markAt(tracker, 1n)
      count.keys = 0
      yield* change(touch("d", every(2)), touch("e", every(1, 100)))
      yield* tracker.poll
      assert.isFalse(log.isKnown)
      assert.strictEqual((yield* tracker.tracking).givenUp, 1)
      assert.isAbove(count.keys, 0)
      assert.isBelow(count.keys, entries / 2 / 16)
      assert.isUndefined(yield* markAt(tracker, 2n, 1n), "no part of the changes is taken for all of them")
      yield* markAt(tracker, 3n)
      yield* change(touch("d", [7]), touch("e", [3]))
      assert.deepStrictEqual(yield* markAt(tracker, 4n, 3n), [[keyOf(7)], [keyOf(3)]])
    })
  )

  overEach("a quarter of all: a delta contains exactly that", (count) =>
    Effect.gen(function* () {
      const tracker = new KeyTracker(new ChangeLog(false))
      yield* change(touch("d", every(1)), touch("e", every(1, 100)))
      yield* markAt(tracker, 1n)
      count.keys = 0
      yield* change(touch("d", every(4)), touch("e", [1]))
      yield* tracker.poll
      assert.strictEqual(count.keys, entries / 4 + 1)
      assert.deepStrictEqual(yield* markAt(tracker, 2n, 1n), [Array.from(every(4), keyOf), [keyOf(1)]])
    })
  )

  overEach("a quarter of all, and a little more of the first ones: the comparison goes on", (count) =>
    Effect.gen(function* () {
      const tracker = new KeyTracker(new ChangeLog(false))
      yield* change(touch("d", every(1)))
      yield* markAt(tracker, 1n)
      count.keys = 0
      // Three eighths of the first thousand, which is more than a third, and a quarter of the others.
      const numbers = Array.from(every(1)).filter((n) => (n < 1_000 ? n % 8 < 3 : n % 4 === 0))
      yield* change(touch("d", numbers))
      yield* tracker.poll
      assert.strictEqual(count.keys, numbers.length)
      assert.deepStrictEqual(yield* markAt(tracker, 2n, 1n), [numbers.map(keyOf), []])
    })
  )

  overEach("step by step, each a tenth: the changes are given up when they exceed a third", () =>
    Effect.gen(function* () {
      const log = new ChangeLog(false)
      const tracker = new KeyTracker(log)
      yield* change(touch("d", every(1)))
      yield* markAt(tracker, 1n)
      const known: Array<boolean> = []
      for (let part = 0; part < 4; part++) {
        yield* change(
          touch(
            "d",
            Array.from(every(10), (n) => n + part)
          )
        )
        yield* tracker.poll
        known.push(log.isKnown)
      }
      assert.deepStrictEqual(known, [true, true, true, false])
    })
  )
})

describe("a change of many entries, for the copy main → shadow", () => {
  overEach("it gets all keys, although the log for deltas ends early", (count) =>
    Effect.gen(function* () {
      const log = new ChangeLog(false)
      const tracker = new KeyTracker(log)
      yield* change(touch("d", every(1)), touch("e", every(1, 100)))
      yield* look(tracker)
      yield* markAt(tracker, 1n)
      count.keys = 0
      yield* change(touch("d", every(2)), touch("e", [1]))
      assert.deepStrictEqual(yield* look(tracker), [Array.from(every(2), keyOf), [keyOf(1)]])
      assert.isFalse(log.isKnown)
      assert.strictEqual(count.keys, entries / 2 + 1)
    })
  )

  overEach("it gives up early what exceeds its memory", (count) =>
    Effect.gen(function* () {
      const tracker = new KeyTracker()
      const long = (numbers: Iterable<number>) =>
        put(
          "d",
          Array.from(numbers, (n) => [keyOf(n).padEnd(400, "."), `value ${values++}`] as const)
        )
      yield* change(long(every(1, 60_000)), touch("e", every(1, 100)))
      yield* look(tracker)
      count.keys = 0
      yield* change(long(every(1, 60_000)))
      assert.deepStrictEqual(yield* look(tracker), [undefined, undefined], "all entries are compared")
      assert.isAbove(count.keys, 0)
      assert.isBelow(count.keys, 9_000)
      yield* change(touch("e", [5]))
      assert.deepStrictEqual(yield* look(tracker), [[], [keyOf(5)]])
    })
  )
})

describe("a change of many entries, for the knowledge that keys ascend", () => {
  /** Compares a change of "d", which is known to ascend, and returns the DBIs that are still known to. */
  const stillKnown = Effect.fnUntraced(function* (count: { keys: number }, numbers: Iterable<number>) {
    const { lastTransactionId } = yield* Lmdb
    const walked = new WalkedDbis()
    const tracker = new KeyTracker(new ChangeLog(false), walked)
    yield* change(touch("d", every(1)), touch("e", every(1, 100)))
    yield* markAt(tracker, 1n)
    walked.walked(yield* lastTransactionId, [d, e])
    count.keys = 0
    yield* change(touch("d", numbers), touch("e", [1]))
    yield* tracker.poll
    return Array.from(walked.at(yield* lastTransactionId))
  })

  overEach("it is dropped after a quarter of the keys up to which it is kept", (count) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* stillKnown(count, every(2)), [e])
      assert.isBelow(count.keys, 1_024 + 256)
    })
  )

  overEach("it is kept when many of the first keys have changed and few of the others", (count) =>
    Effect.gen(function* () {
      const numbers = [...every(1, 800), ...Array.from(every(100)).filter((n) => n >= 800)]
      assert.deepStrictEqual(yield* stillKnown(count, numbers), [d, e])
    })
  )
})

describe("changes of random size", () => {
  overEach("what is known is exact, and the copy never misses a key", () =>
    Effect.gen(function* () {
      const log = new ChangeLog(false)
      const tracker = new KeyTracker(log)
      const choices = new Choices(18)
      yield* change(touch("d", every(1)), touch("e", every(1)))
      yield* look(tracker)
      let time = 1n
      yield* markAt(tracker, time)
      const outcomes = { known: 0, givenUp: 0 }
      for (let round = 0; round < 20; round++) {
        const changed = [d, e].map((name) => {
          // A random part of a random range.
          const from = choices.below(entries / 4)
          const to = from + choices.below(entries - from)
          const share = choices.of([2, 20, 100, 100])
          const numbers = Array.from({ length: to - from }, (_, i) => from + i).filter(() => choices.below(100) < share)
          return { name, numbers, keys: numbers.map(keyOf) }
        })
        for (const { name, numbers } of changed) yield* change(touch(DbiName.display(name), numbers))
        if (choices.below(2) === 0) yield* tracker.poll
        const expected = changed.map(({ keys }) => keys)
        const known = yield* markAt(tracker, time + 1n, time)
        if (known === undefined) {
          outcomes.givenUp++
          yield* markAt(tracker, time + 1n)
        } else {
          outcomes.known++
          assert.deepStrictEqual(known, expected, `round ${round}`)
        }
        time++
        const found = yield* look(tracker)
        found.forEach((keys, i) => {
          const examined = new Set(keys ?? expected[i])
          assert.deepStrictEqual(
            expected[i]!.filter((key) => !examined.has(key)),
            []
          )
        })
      }
      assert.isAbove(outcomes.known, 3)
      assert.isAbove(outcomes.givenUp, 3)
    })
  )
})
