/** The collector of V8: what nobody refers to is given back, and little is not worth a collection. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import { GarbageCollector } from "../../../src/services/GarbageCollector.ts"

const blockBytes = 256 * 1024

/** As a spool in memory has it. Let go when this returns. */
const useShared = (blocks: number) => {
  const shared = Array.from({ length: blocks }, () => new SharedArrayBuffer(blockBytes))
  return shared.reduce((sum, { byteLength }) => sum + byteLength, 0)
}

const collect = Effect.flatMap(GarbageCollector, (collector) => collector.collect)

/**
 * Bytes that a collection gives back of those that were shared before it. Buffers are freed by another thread, right
 * after.
 */
const givenBack = Effect.fnUntraced(function* (blocks: number) {
  const used = useShared(blocks)
  const before = process.memoryUsage().arrayBuffers
  yield* collect
  yield* Effect.sleep("100 millis")
  return { used, freed: before - process.memoryUsage().arrayBuffers }
})

describe("GarbageCollectorV8", () => {
  it.live("gives back shared memory that nobody refers to, and leaves little of it for later", () =>
    Effect.gen(function* () {
      // What the test's own process has left behind.
      yield* givenBack(64)
      const much = yield* givenBack(64)
      assert.isAbove(much.freed, 0.9 * much.used)
      const little = yield* givenBack(4)
      assert.isBelow(little.freed, 0.1 * little.used)
    }).pipe(Effect.provide(GarbageCollectorV8.layer))
  )
})
