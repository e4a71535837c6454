/**
 * The place of the last dump: when it is there for the next one, and that nobody closes it under a dump that reads from
 * it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { type Dumped, LastDump } from "../../../src/programs/sync/LastDump.ts"
import { DumpResult } from "../../../src/services/Database.ts"

/** Into a place of its own, unless it says which. */
const resultOf = (timestampNano: bigint, memory: ReadonlyArray<SharedArrayBuffer> = [], fd = Number(timestampNano)) =>
  new DumpResult({
    spooled: { place: { fd, directory: "", memoryLimit: 0 }, size: 1, memory, extents: [] },
    transactionId: 1n,
    timestampNano,
    clockBehind: false,
    entries: 0,
    dbis: [],
    uncompressedSize: 0,
    reusedSize: 0,
    copyMillis: 0,
    lockHeldMillis: 0,
    acquireMillis: 0,
    dumpMillis: 0,
    compressMillis: 0
  })

/** A dump whose place is closed with its scope: what it was given of the one before. */
const dumpInto = Effect.fnUntraced(function* (kept: LastDump, result: DumpResult, closed: Array<bigint>) {
  const make = (last: Dumped | undefined) =>
    Effect.as(
      Effect.addFinalizer(() => Effect.sync(() => void closed.push(result.timestampNano))),
      { result, last }
    )
  return yield* kept.dump(make, ({ last }) => Effect.succeed(last?.timestampNano))
})

describe("LastDump", () => {
  it.effect("gives each dump the one before, and closes it after that", () =>
    Effect.gen(function* () {
      const kept = new LastDump(true)
      const closed: Array<bigint> = []
      assert.strictEqual(yield* dumpInto(kept, resultOf(1n), closed), undefined)
      assert.deepStrictEqual(closed, [])
      assert.strictEqual(yield* dumpInto(kept, resultOf(2n), closed), 1n)
      assert.deepStrictEqual(closed, [1n])
      yield* kept.giveUp
      assert.deepStrictEqual(closed, [1n, 2n])
      assert.strictEqual(yield* dumpInto(kept, resultOf(3n), closed), undefined)
    })
  )

  for (const [what, isOn, memory] of [
    ["switched off", false, []],
    ["in memory", true, [new SharedArrayBuffer(1)]]
  ] as const) {
    it.effect(`${what}: closes the place at once`, () =>
      Effect.gen(function* () {
        const kept = new LastDump(isOn)
        const closed: Array<bigint> = []
        yield* dumpInto(kept, resultOf(1n, memory), closed)
        assert.deepStrictEqual(closed, [1n])
        assert.strictEqual(yield* dumpInto(kept, resultOf(2n, memory), closed), undefined)
      })
    )
  }

  it.effect("a revision keeps the place open, and closes the one that it did not need", () =>
    Effect.gen(function* () {
      const kept = new LastDump(true)
      const closed: Array<bigint> = []
      yield* dumpInto(kept, resultOf(1n), closed)
      assert.strictEqual(yield* dumpInto(kept, resultOf(2n, [], 1), closed), 1n)
      assert.deepStrictEqual(closed, [2n])
      assert.strictEqual(yield* dumpInto(kept, resultOf(3n, [], 1), closed), 2n)
      assert.deepStrictEqual(closed, [2n, 3n])
      yield* kept.giveUp
      assert.deepStrictEqual(closed, [2n, 3n, 1n])
    })
  )

  it.effect("the place stays open while it is used, and is kept however that ends", () =>
    Effect.gen(function* () {
      const kept = new LastDump(true)
      const closed: Array<bigint> = []
      const make = Effect.as(
        Effect.addFinalizer(() => Effect.sync(() => void closed.push(1n))),
        { result: resultOf(1n) }
      )
      const use = Effect.andThen(kept.giveUp, Effect.fail("the store fails"))
      assert.isTrue(
        Exit.isFailure(
          yield* Effect.exit(
            kept.dump(
              () => make,
              () => use
            )
          )
        )
      )
      assert.deepStrictEqual(closed, [])
      assert.strictEqual(yield* dumpInto(kept, resultOf(2n), closed), 1n)
      assert.deepStrictEqual(closed, [1n])
    })
  )

  it.effect("a dump that fails gives up the one before, too", () =>
    Effect.gen(function* () {
      const kept = new LastDump(true)
      const closed: Array<bigint> = []
      yield* dumpInto(kept, resultOf(1n), closed)
      assert.isTrue(
        Exit.isFailure(
          yield* Effect.exit(
            kept.dump(
              () => Effect.fail("the disk is full"),
              () => Effect.void
            )
          )
        )
      )
      assert.deepStrictEqual(closed, [1n])
    })
  )

  it.effect("is given up only when the dump that reads from it has ended", () =>
    Effect.gen(function* () {
      const kept = new LastDump(true)
      const closed: Array<bigint> = []
      yield* dumpInto(kept, resultOf(1n), closed)
      const [begun, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const dump = yield* Effect.forkChild(
        kept.dump(
          () =>
            Effect.andThen(
              Deferred.succeed(begun, undefined),
              Effect.as(Deferred.await(goOn), { result: resultOf(2n) })
            ),
          () => Effect.void
        )
      )
      yield* Deferred.await(begun)
      const givingUp = yield* Effect.forkChild(kept.giveUp, { startImmediately: true })
      yield* Effect.yieldNow
      assert.deepStrictEqual(closed, [])
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(dump)
      yield* Fiber.join(givingUp)
      assert.deepStrictEqual(closed, [1n])
    })
  )
})
