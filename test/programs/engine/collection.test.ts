/** The thread that held a merge's buffers collects them before it answers: nobody else does. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import * as LmdbMemory from "../../../src/layers/lmdb/memory/LmdbMemory.ts"
import { GarbageCollector } from "../../../src/services/GarbageCollector.ts"
import { databaseOptions, dump, merge, over, putRaw, write } from "../../support/fixtures/Environments.ts"
import { many, object, rawDbis } from "../../support/fixtures/Snapshots.ts"

const counting = () => {
  let collections = 0
  const collector = Layer.succeed(GarbageCollector, { collect: Effect.sync(() => void collections++) })
  const layer = over(LmdbMemory.layerWith(), databaseOptions(), Compressions.layer, collector)
  return { layer, collected: () => collections }
}

describe("Collection in the engine", () => {
  it.live("comes before a large merge answers, and before a failure, and not with a small one", () => {
    const { collected, layer } = counting()
    return Effect.gen(function* () {
      const whole = object({ a: [["k", 1, "v"]] })
      assert.strictEqual((yield* merge(whole)).entriesWritten, 1)
      assert.strictEqual(collected(), 0)
      assert.isAbove((yield* merge(object({ b: many(100_000, 20, 100) }))).uncompressedSize, 8 * 2 ** 20)
      assert.strictEqual(collected(), 1)
      yield* Effect.flip(merge(whole.subarray(0, whole.length - 9)))
      assert.strictEqual(collected(), 2)
    }).pipe(Effect.provide(layer))
  })

  it.live("comes before a large dump answers, and not with a small one, which would only be later for it", () => {
    const { collected, layer } = counting()
    return Effect.gen(function* () {
      yield* write(putRaw(rawDbis({ a: many(1_000, 20, 60) })))
      yield* dump()
      assert.strictEqual(collected(), 0)
      yield* write(putRaw(rawDbis({ b: many(100_000, 20, 100) })))
      assert.isAbove((yield* dump()).result.uncompressedSize, 8 * 2 ** 20)
      assert.strictEqual(collected(), 1)
    }).pipe(Effect.provide(layer))
  })
})
