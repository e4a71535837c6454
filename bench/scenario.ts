/**
 * One measured operation of a `Database`, composed as the daemon composes it: engine in a worker thread, snapshots in spools of this one.
 *
 *     scenario send MODE LMDB FOLDER SNAPSHOT                      dumps LMDB; the snapshot is then written to the file SNAPSHOT
 *     scenario merge MODE LMDB FOLDER LOCK_MILLIS SNAPSHOT …       merges them, one after the other
 *
 * MODE is `native` or `shadow`; in shadow mode the first open makes the shadow DBIs, with 1 ns. The clock runs during `dump` or `merge` alone; FOLDER is the spool's. Runs from dist-bench/: see Bundle.ts.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, FileSystem, Layer, Stream } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as DatabaseWorker from "../src/layers/DatabaseWorker.ts"
import * as SpoolFile from "../src/layers/SpoolFile.ts"
import type { WorkerData } from "../src/layers/WorkerData.ts"
import * as WorkerPool from "../src/layers/WorkerPool.ts"
import { Database } from "../src/services/Database.ts"
import { Spool } from "../src/services/Spool.ts"
import type { ScenarioResult } from "./Results.ts"

const [kind, mode, path, folder, ...rest] = process.argv.slice(2) as [string, string, string, string, ...ReadonlyArray<string>]

/** Milliseconds between two looks at the event loop. */
const resolution = 2

/** Time and the event loop's longest gap, while `use` runs. */
const measured = Effect.fnUntraced(function*<A, E, R>(use: Effect.Effect<A, E, R>) {
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  // So that the first gap is not that of starting to look.
  yield* Effect.sleep("20 millis")
  delay.reset()
  const begin = performance.now()
  const value = yield* use
  const millis = performance.now() - begin
  delay.disable()
  // What is counted are the times between two looks; none at all is Infinity's opposite, 0.
  return { value, millis, loopGapMillis: Math.max(0, delay.max / 1e6 - resolution) }
})

const nothing: ScenarioResult = {
  millis: 0, loopGapMillis: 0, entriesRead: 0, entriesWritten: 0, compressedSize: 0, uncompressedSize: 0, transactions: 0,
  lockHeldMillis: 0, longestLockMillis: 0
}

const send = Effect.gen(function*() {
  const { dump } = yield* Database
  const spool = yield* Spool
  const place = yield* spool.open
  const { loopGapMillis, millis, value } = yield* measured(dump({
    place, format: "gzip", instanceID: "bench", hostname: "bench", newestKnown: 0n
  }))
  const { sink } = yield* FileSystem.FileSystem
  yield* Stream.run(spool.read(value.spooled), sink(rest[0]!))
  const result: ScenarioResult = {
    ...nothing, millis, loopGapMillis, entriesRead: value.entries, compressedSize: value.spooled.size, uncompressedSize: value.uncompressedSize
  }
  return result
}).pipe(Effect.scoped)

/** As a download does. */
const spooled = Effect.fnUntraced(function*(file: string) {
  const spool = yield* Spool
  const { stream } = yield* FileSystem.FileSystem
  const writer = spool.writer(yield* spool.open)
  yield* Stream.runForEach(stream(file), writer.append)
  return yield* writer.finish
})

const mergeOne = Effect.fnUntraced(function*(file: string) {
  const { merge } = yield* Database
  const source = yield* spooled(file)
  const { loopGapMillis, millis, value } = yield* measured(merge({ spooled: source, format: "gzip" }))
  return { ...value, millis, loopGapMillis, compressedSize: source.size }
}, Effect.scoped)

const merge = Effect.gen(function*() {
  let sum = nothing
  for (const file of rest.slice(1)) {
    const one = yield* mergeOne(file)
    sum = {
      millis: sum.millis + one.millis,
      loopGapMillis: Math.max(sum.loopGapMillis, one.loopGapMillis),
      entriesRead: sum.entriesRead + one.entriesRead,
      entriesWritten: sum.entriesWritten + one.entriesWritten,
      compressedSize: sum.compressedSize + one.compressedSize,
      uncompressedSize: sum.uncompressedSize + one.uncompressedSize,
      transactions: sum.transactions + one.transactions,
      lockHeldMillis: sum.lockHeldMillis + one.lockHeldMillis,
      longestLockMillis: Math.max(sum.longestLockMillis, one.longestLockMillis)
    }
  }
  return sum
})

const workerData: WorkerData = { log: { format: "human", level: "warning", timestamp: "short" }, instance: "bench" }

const layer = DatabaseWorker.layerWith({
  name: "bench",
  lmdb: { path, noSubdir: true, create: false, mapSize: 0, maxDbs: 64, dirMask: 0o775, fileMask: 0o664 },
  ...(mode === "shadow" ? { shadow: { dupsortHack: false, createFlags: {} } } : {}),
  paddingBlock: false,
  mergeLockMillis: kind === "merge" ? Number(rest[0]) : 0
}).pipe(
  Layer.provide(WorkerPool.layerWith({ entry: new URL("./worker.js", import.meta.url), size: 1, worker: { workerData } })),
  // As much in memory as the daemon's default.
  Layer.provideMerge(SpoolFile.layerWith({ directory: folder, memoryLimit: 16 * 2 ** 20 })),
  Layer.provideMerge(NodeFileSystem.layer)
)

Effect.flatMap(kind === "send" ? send : merge, (result) => Console.log(JSON.stringify(result))).pipe(Effect.provide(layer), NodeRuntime.runMain)
