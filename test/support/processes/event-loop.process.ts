/**
 * Process of the test of the event loop: `event-loop inline|worker FILE` merges the object in FILE, with the engine in
 * this thread or in another one, and prints for how many milliseconds the loop of this thread was blocked at the
 * longest. In a process of its own, since a test's main thread does more than that, and waits now and then for a lock
 * that one of V8's threads has while it has no core.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, FileSystem, Layer } from "effect"
import { gapsDuring } from "../../../bench/EventLoop.ts"
import { Database } from "../../../src/services/Database.ts"
import { inline, largeObject, type LayerOf, newOptions, spool, spooled, worker } from "../fakes/DatabaseLayers.ts"

const [kind, file] = process.argv.slice(2) as ["inline" | "worker", string]
const layerOf: LayerOf = kind === "inline" ? inline : worker

/** While the object is merged into an empty LMDB. */
const blocked = Effect.fnUntraced(function* (object: Uint8Array) {
  const merging = Effect.gen(function* () {
    const { merge } = yield* Database
    const source = yield* spooled(object)
    return yield* gapsDuring(merge({ spooled: source, format: "gzip" }))
  })
  return yield* Effect.provide(merging, Layer.merge(layerOf(yield* newOptions()), spool))
}, Effect.scoped)

Effect.gen(function* () {
  const object = yield* (yield* FileSystem.FileSystem).readFile(file)
  // What is compiled is then compiled before.
  yield* blocked(largeObject(10_000))
  const { loopBlockedMillis } = yield* blocked(object)
  yield* Console.log(loopBlockedMillis)
}).pipe(Effect.provide(NodeFileSystem.layer), NodeRuntime.runMain)
