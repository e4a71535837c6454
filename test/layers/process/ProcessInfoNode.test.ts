import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ProcessInfoNode from "../../../src/layers/process/ProcessInfoNode.ts"
import { ProcessInfo } from "../../../src/services/ProcessInfo.ts"

const megabyte = 2 ** 20

const withInfo = <A, E>(use: (info: ProcessInfo["Service"]) => Effect.Effect<A, E>) =>
  Effect.provide(Effect.flatMap(ProcessInfo, use), ProcessInfoNode.layerWith("1.2.3"))

describe("ProcessInfoNode", () => {
  it.live("buffers are external, resident and anonymous memory, objects are heap", () =>
    withInfo(({ use }) =>
      Effect.gen(function* () {
        const before = yield* use
        const buffer = Buffer.alloc(64 * megabyte, 1)
        const objects = Array.from({ length: 400_000 }, (_, index) => ({ index, next: [index] }))
        const after = yield* use
        assert.isAbove(after.externalBytes - before.externalBytes, 60 * megabyte)
        assert.isAbove(after.residentBytes - before.residentBytes, 60 * megabyte)
        assert.isAbove(after.anonymousBytes! - before.anonymousBytes!, 60 * megabyte)
        assert.isAbove(after.heapUsedBytes - before.heapUsedBytes, 8 * megabyte)
        assert.isAtLeast(after.heapTotalBytes, after.heapUsedBytes)
        assert.strictEqual(buffer.length + objects.length, 64 * megabyte + 400_000)
      })
    )
  )

  it.live("the event loop is late by as long as it was blocked, and says so for a while", () =>
    withInfo(({ use }) =>
      Effect.gen(function* () {
        yield* Effect.sleep("200 millis")
        const before = yield* use
        for (const end = performance.now() + 1_500; performance.now() < end;);
        yield* Effect.sleep("100 millis")
        const after = yield* use
        assert.isAtLeast(after.loopDelayLongestMillis, 1_400)
        assert.isAbove(after.loopDelayLongestMillis, before.loopDelayLongestMillis)
        assert.isAtLeast(after.loopDelayLongestMillis, after.loopDelayP99Millis)
        assert.strictEqual(
          (yield* use).loopDelayLongestMillis,
          after.loopDelayLongestMillis,
          "whoever has asked before"
        )
      })
    )
  )
})
