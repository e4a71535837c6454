/**
 * Process of the test of the collector: with 300,000 objects in its heap, for how many milliseconds its loop is blocked
 * at the longest, in one go and in steps.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { gapsDuring } from "../../../bench/EventLoop.ts"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import { GarbageCollector } from "../../../src/services/GarbageCollector.ts"

const heap = Array.from({ length: 300_000 }, (_, index) => ({ index }))

const blocked = Effect.gen(function* () {
  const { collect } = yield* GarbageCollector
  return (yield* gapsDuring(collect)).loopBlockedMillis
})

const median = (all: ReadonlyArray<number>) => all.toSorted((a, b) => a - b)[all.length >> 1]!

Effect.gen(function* () {
  const goes: Array<number> = []
  const steps: Array<number> = []
  for (let round = 0; round < 5; round++) {
    goes.push(yield* Effect.provide(blocked, GarbageCollectorV8.layer))
    steps.push(yield* Effect.provide(blocked, GarbageCollectorV8.layerInSteps))
  }
  yield* Console.log(JSON.stringify({ inOneGo: median(goes), inSteps: median(steps), objects: heap.length }))
}).pipe(NodeRuntime.runMain)
