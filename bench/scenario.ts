/**
 * Runs one measured operation of a `Database`, which is composed as in the daemon: the engine in a worker thread, and
 * the snapshots in spools of this thread.
 *
 *     scenario send MODE LMDB DIRECTORY SNAPSHOT                  dumps LMDB, then writes the snapshot to a file
 *     scenario merge MODE LMDB DIRECTORY LOCK_MILLIS SNAPSHOT …   merges them, one after the other
 *
 * MODE is `native` or `shadow`. In shadow mode, the first open creates the shadow DBIs with the time 1 ns. DIRECTORY is
 * the directory of the spool. The clock runs only during `dump` or `merge`. The program runs from dist-bench/ (see
 * Bundle.ts).
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, FileSystem, Layer } from "effect"
import * as DatabaseWorker from "../src/layers/database/DatabaseWorker.ts"
import * as SpoolFile from "../src/layers/spool/SpoolFile.ts"
import type { WorkerData } from "../src/layers/database/WorkerData.ts"
import * as WorkerPool from "../src/layers/database/WorkerPool.ts"
import { Database } from "../src/services/Database.ts"
import { Spool, type Spooled } from "../src/services/Spool.ts"
import * as EventLoop from "./EventLoop.ts"
import type { ScenarioResult } from "./Results.ts"

const [kind, mode, path, directory, ...rest] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  ...ReadonlyArray<string>
]

/** Returns the time and the longest gaps of the event loop while `use` runs. */
const measured = <A, E, R>(use: Effect.Effect<A, E, R>) =>
  EventLoop.gapsDuring(
    Effect.gen(function* () {
      const began = performance.now()
      const result = yield* use
      return { result, millis: performance.now() - began }
    })
  ).pipe(Effect.map(({ value, ...gaps }) => ({ ...value, gaps })))

const nothing: ScenarioResult = {
  millis: 0,
  loopGapMillis: 0,
  loopBlockedMillis: 0,
  entriesRead: 0,
  entriesWritten: 0,
  compressedSize: 0,
  uncompressedSize: 0,
  transactions: 0,
  lockHeldMillis: 0,
  longestLockMillis: 0
}

/** Writes a snapshot to a file, through one buffer, because the memory of the process is still being sampled. */
const writeTo = Effect.fnUntraced(function* (path: string, spooled: Spooled) {
  const { readInto } = yield* Spool
  const file = yield* (yield* FileSystem.FileSystem).open(path, { flag: "w" })
  const buffer = new Uint8Array(2 ** 18)
  for (let start = 0; start < spooled.size; start += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, spooled.size - start))
    yield* readInto(spooled, start, part)
    yield* file.writeAll(part)
  }
}, Effect.scoped)

const send = Effect.gen(function* () {
  const { dump } = yield* Database
  const spool = yield* Spool
  const place = yield* spool.open
  const { gaps, millis, result } = yield* measured(
    dump({
      place,
      format: "gzip",
      instanceID: "bench",
      hostname: "bench",
      newestKnown: 0n
    })
  )
  yield* writeTo(rest[0]!, result.spooled)
  return {
    ...nothing,
    ...gaps,
    millis,
    entriesRead: result.entries,
    compressedSize: result.spooled.size,
    uncompressedSize: result.uncompressedSize
  } satisfies ScenarioResult
}).pipe(Effect.scoped)

/** Spools a file, as after a download. */
const spooled = Effect.fnUntraced(function* (path: string) {
  const spool = yield* Spool
  const file = yield* (yield* FileSystem.FileSystem).open(path)
  const writer = spool.writer(yield* spool.open)
  const buffer = new Uint8Array(2 ** 18)
  for (let length = yield* file.read(buffer); length > 0; length = yield* file.read(buffer)) {
    yield* writer.append(buffer.subarray(0, Number(length)))
  }
  return yield* writer.finish
})

const mergeOne = Effect.fnUntraced(function* (file: string) {
  const { merge } = yield* Database
  const source = yield* spooled(file)
  const merging = Effect.map(merge({ snapshots: [{ spooled: source, format: "gzip" }] }), ([result]) => result)
  const { gaps, millis, result } = yield* measured(merging)
  return { ...result, ...gaps, millis, compressedSize: source.size }
}, Effect.scoped)

const merge = Effect.gen(function* () {
  let sum = nothing
  for (const file of rest.slice(1)) {
    const one = yield* mergeOne(file)
    sum = {
      millis: sum.millis + one.millis,
      loopGapMillis: Math.max(sum.loopGapMillis, one.loopGapMillis),
      loopBlockedMillis: Math.max(sum.loopBlockedMillis, one.loopBlockedMillis),
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
  mergeLockMillis: kind === "merge" ? Number(rest[0]) : 0,
  deltas: true
}).pipe(
  Layer.provide(
    WorkerPool.layerWith({ entry: new URL("./worker.js", import.meta.url), size: 1, worker: { workerData } })
  ),
  // The daemon's default of `memoryLimit`.
  Layer.provideMerge(SpoolFile.layerWith({ directory: directory, memoryLimit: 16 * 2 ** 20 })),
  Layer.provideMerge(NodeFileSystem.layer)
)

Effect.flatMap(kind === "send" ? send : merge, (result) => Console.log(JSON.stringify(result))).pipe(
  Effect.provide(layer),
  NodeRuntime.runMain
)
