import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as StorageMemory from "../../../src/layers/storage/StorageMemory.ts"
import * as StorageProgress from "../../../src/layers/storage/StorageProgress.ts"
import { Progress, type Work } from "../../../src/services/Progress.ts"
import { Storage } from "../../../src/services/Storage.ts"

describe("StorageProgress", () => {
  it.effect("counts what is loaded, of all that has begun, and passes the rest on", () => {
    const works: Array<Work> = []
    let done = 0
    const progress = Layer.succeed(Progress, {
      measure: (work) => {
        works.push(work)
        return Effect.succeed({ add: (amount: number) => void (done += amount) })
      }
    })
    const layer = StorageProgress.layerWith("Loading").pipe(
      Layer.provide(Layer.merge(progress, Layer.fresh(StorageMemory.layer)))
    )
    return Effect.gen(function* () {
      const storage = yield* Storage
      for (const [name, size] of [
        ["a", 10],
        ["b", 20]
      ] as const)
        yield* storage.store(name, { size, read: (start, end) => Stream.make(new Uint8Array(end - start)) })
      const [first, second] = yield* storage.list("")
      assert.deepStrictEqual([works[0]!.total, done], [0, 0])
      yield* Stream.runDrain(storage.load("a", first))
      assert.deepStrictEqual([works[0]!.total, done], [10, 10])
      yield* Stream.runDrain(storage.load("b", second))
      assert.deepStrictEqual([works[0]!.total, done], [30, 30])
      assert.deepStrictEqual([works.length, works[0]!.label, works[0]!.unit], [1, "Loading", "bytes"])
      yield* storage.delete("a")
      assert.lengthOf(yield* storage.list(""), 1)
    }).pipe(Effect.provide(layer))
  })
})
