/**
 * Process of the test of the event loop. `event-loop inline|worker FILE` merges the object in FILE, with the engine in
 * this thread or in another one, and prints the longest time in milliseconds for which the loop of this thread was
 * blocked. It runs in a separate process, because the main thread of a test does other work as well, and sometimes
 * waits for a lock that one of V8's threads holds while it has no core.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, FileSystem, Layer } from "effect"
import { gapsDuring } from "../../../bench/EventLoop.ts"
import { Database } from "../../../src/services/Database.ts"
import { inline, largeObject, type LayerOf, newOptions, spool, spooled, worker } from "../fakes/DatabaseLayers.ts"

const [kind, file] = process.argv.slice(2) as ["inline" | "worker", string]
const layerOf: LayerOf = kind === "inline" ? inline : worker

/** Measures the loop while the object is merged into an empty LMDB. */
const blocked = Effect.fnUntraced(function* (object: Uint8Array) {
  const merging = Effect.gen(function* () {
    const { merge } = yield* Database
    const source = yield* spooled(object)
    return yield* gapsDuring(merge({ snapshots: [{ spooled: source, format: "gzip" }] }))
  })
  return yield* Effect.provide(merging, Layer.merge(layerOf(yield* newOptions()), spool))
}, Effect.scoped)

Effect.gen(function* () {
  const object = yield* (yield* FileSystem.FileSystem).readFile(file)
  // The code is then compiled before the measurement.
  yield* blocked(largeObject(10_000))
  const { loopBlockedMillis } = yield* blocked(object)
  yield* Console.log(loopBlockedMillis)
}).pipe(Effect.provide(NodeFileSystem.layer), NodeRuntime.runMain)
