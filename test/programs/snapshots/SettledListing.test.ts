import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SettledListing from "../../../src/programs/snapshots/SettledListing.ts"
import { Storage } from "../../../src/services/Storage.ts"
import { deltaNameOf, epoch, makeBucket, nameOf } from "../daemon/World.ts"

const lines = { d: [["k", 1, "v"]] } as const

/** The names of objects of an instance: a snapshot, and two deltas that lead on from it. */
const [full, first, second] = [
  nameOf("a", epoch),
  deltaNameOf("a", epoch, epoch + 1_000),
  deltaNameOf("a", epoch + 1_000, epoch + 2_000)
]

const side = Effect.gen(function* () {
  const bucket = yield* makeBucket
  yield* bucket.put("a", epoch, lines)
  yield* bucket.putDelta("a", epoch, epoch + 1_000, lines)
  yield* bucket.putDelta("a", epoch + 1_000, epoch + 2_000, lines)
  const names = SettledListing.list("main").pipe(
    Effect.map((objects) => objects.map(({ name }) => name)),
    Effect.provideService(Storage, bucket.storage)
  )
  /** The next listing does not have this object. */
  const hide = (name: string) => bucket.faults.add({ operation: "list" }, { kind: "list hides", name })
  const listings = Effect.map(bucket.callsOf("list"), (calls) => calls.length)
  return { ...bucket, hide, listings, names }
})

describe("SettledListing", () => {
  it.effect("lists once if nothing is missing", () =>
    Effect.gen(function* () {
      const { listings, names } = yield* side
      assert.deepStrictEqual(yield* names, [full, first, second])
      assert.strictEqual(yield* listings, 1)
    })
  )

  it.effect("looks again at a gap that the next listing no longer shows", () =>
    Effect.gen(function* () {
      const { hide, listings, names } = yield* side
      yield* hide(first)
      assert.deepStrictEqual(yield* names, [full, first, second])
      assert.strictEqual(yield* listings, 2)
    })
  )

  it.effect("shows a gap that two listings show, and needs no third one", () =>
    Effect.gen(function* () {
      const { hide, listings, names } = yield* side
      yield* hide(first)
      yield* hide(first)
      assert.deepStrictEqual(yield* names, [full, second])
      assert.strictEqual(yield* listings, 2)
    })
  )

  it.effect("omits a delta that only the last listing shows without its predecessor", () =>
    Effect.gen(function* () {
      const { faults, listings, names, putDelta } = yield* side
      yield* putDelta("b", epoch, epoch + 1_000, lines)
      // Each listing shows another delta of a, and the gap of b.
      for (const from of [5_000, 7_000, 9_000]) {
        const name = deltaNameOf("a", epoch + from, epoch + from + 1_000)
        yield* faults.add({ operation: "list" }, { kind: "list shows", name, size: 1 })
      }
      assert.deepStrictEqual(yield* names, [full, first, second, deltaNameOf("b", epoch, epoch + 1_000)])
      assert.strictEqual(yield* listings, 3)
    })
  )
})
