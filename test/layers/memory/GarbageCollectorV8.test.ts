/** The collector of V8: what nobody refers to is given back, in one go or in steps, and steps block the thread less. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { vi } from "vitest"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import { GarbageCollector } from "../../../src/services/GarbageCollector.ts"
import { execute } from "../../support/Command.ts"
import { pathOf } from "../../support/servers/RealServers.ts"

const layers = { "in one go": GarbageCollectorV8.layer, "in steps": GarbageCollectorV8.layerInSteps }

const blocks = 64
const blockBytes = 256 * 1024

/** As a spool in memory has it. Let go when this returns. */
const useShared = () => {
  const shared = Array.from({ length: blocks }, () => new SharedArrayBuffer(blockBytes))
  return shared.reduce((sum, { byteLength }) => sum + byteLength, 0)
}

const collect = Effect.flatMap(GarbageCollector, (collector) => collector.collect)

/**
 * Bytes that a collection gives back of those that were shared before it. Buffers are freed by another thread, right
 * after.
 */
const givenBack = Effect.gen(function* () {
  yield* collect
  const used = useShared()
  const before = process.memoryUsage().arrayBuffers
  yield* collect
  yield* Effect.sleep("100 millis")
  return { used, freed: before - process.memoryUsage().arrayBuffers }
})

/** Milliseconds. */
const Blocked = Schema.Struct({ inOneGo: Schema.Finite, inSteps: Schema.Finite })

describe("GarbageCollectorV8", () => {
  for (const [name, layer] of Object.entries(layers)) {
    it.live(`gives back shared memory that nobody refers to, ${name}`, () =>
      Effect.gen(function* () {
        const { freed, used } = yield* givenBack
        assert.isAbove(freed, 0.9 * used)
      }).pipe(Effect.provide(layer))
    )
  }

  it.live("in steps, the thread is blocked for less", () =>
    Effect.gen(function* () {
      // As with event-loop.ts: V8 has no threads of its own there, which would have to be waited for where they have no
      // core.
      const { code, err, out } = yield* execute([
        process.execPath,
        "--no-warnings",
        "--single-threaded-gc",
        pathOf("../processes/garbage-collector.process.ts")
      ])
      assert.strictEqual(code, 0, err)
      const { inOneGo, inSteps } = yield* Schema.decodeEffect(Schema.fromJsonString(Blocked))(out)
      // Of what it takes in one go, 0.23 to 0.29: also where all cores are busy.
      assert.isBelow(inSteps, 0.5 * inOneGo)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("where no address space is left to begin with, it is in one go", () =>
    Effect.gen(function* () {
      yield* collect
      const used = useShared()
      const before = process.memoryUsage().arrayBuffers
      vi.stubGlobal("ArrayBuffer", function () {
        throw new RangeError("Array buffer allocation failed")
      })
      yield* Effect.ensuring(
        collect,
        Effect.sync(() => void vi.unstubAllGlobals())
      )
      yield* Effect.sleep("100 millis")
      assert.isAbove(before - process.memoryUsage().arrayBuffers, 0.9 * used)
    }).pipe(Effect.provide(GarbageCollectorV8.layerInSteps))
  )
})
