/** The two layers of `Database` over real files, and the common parts of their tests. */
import { NodeFileSystem } from "@effect/platform-node"
import { Effect, FileSystem, Layer, Stream } from "effect"
import { gzipSync } from "node:zlib"
import * as DbiName from "../../../src/domain/lmdb/DbiName.ts"
import { dbiHead, EntryEncoder, entrySize, snapshotHead } from "../../../src/domain/snapshot/SnapshotWriter.ts"
import * as Compressions from "../../../src/layers/compression/Compressions.ts"
import * as DatabaseInline from "../../../src/layers/database/DatabaseInline.ts"
import * as DatabaseWorker from "../../../src/layers/database/DatabaseWorker.ts"
import * as GarbageCollectorV8 from "../../../src/layers/memory/GarbageCollectorV8.ts"
import * as LmdbNative from "../../../src/layers/lmdb/native/LmdbNative.ts"
import * as SpoolFile from "../../../src/layers/spool/SpoolFile.ts"
import * as WorkerPool from "../../../src/layers/database/WorkerPool.ts"
import { Database, type DatabaseOptions } from "../../../src/services/Database.ts"
import { Spool } from "../../../src/services/Spool.ts"
import { nativeOptions } from "../fixtures/Environments.ts"

export const spool = SpoolFile.layerWith({ directory: "/tmp", memoryLimit: 100_000 })

export const inline = (options: DatabaseOptions) =>
  DatabaseInline.layerWith(options).pipe(
    Layer.provide([LmdbNative.layerWith(options.lmdb), Compressions.layer, spool, GarbageCollectorV8.layer])
  )

export const workers = (size: number, workerData: unknown = {}) =>
  WorkerPool.layerWith({
    entry: new URL("../processes/database-worker.process.ts", import.meta.url),
    size,
    worker: { workerData }
  })

export const worker = (options: DatabaseOptions) => DatabaseWorker.layerWith(options).pipe(Layer.provide(workers(1)))

/** One of the two layers. */
export type LayerOf = (
  options: DatabaseOptions
) => Layer.Layer<Database, Layer.Error<ReturnType<typeof inline> | ReturnType<typeof worker>>>

/** Options of a database with a new file, in a directory that is removed with the scope. */
export const newOptions = (overrides: Partial<DatabaseOptions> = {}) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()).pipe(
    Effect.map((directory) => {
      const options = nativeOptions(`${directory}/data.mdb`, overrides)
      return { ...options, lmdb: { ...options.lmdb, path: `${directory}/data.mdb` } }
    }),
    Effect.provide(NodeFileSystem.layer),
    Effect.orDie
  )

/** Spools a snapshot. Its place is closed with the scope. */
export const spooled = Effect.fnUntraced(function* (bytes: Uint8Array) {
  const service = yield* Spool
  const writer = service.writer(yield* service.open)
  for (let at = 0; at < bytes.length; at += 65_536) yield* writer.append(bytes.subarray(at, at + 65_536))
  return yield* writer.finish
})

export const mergeObject = Effect.fnUntraced(function* (bytes: Uint8Array) {
  const { merge } = yield* Database
  const [result] = yield* merge({ snapshots: [{ spooled: yield* spooled(bytes), format: "gzip" }] })
  return result
}, Effect.scoped)

export const dumpObject = Effect.fnUntraced(function* () {
  const { dump } = yield* Database
  const { open, read } = yield* Spool
  const result = yield* dump({ place: yield* open, format: "gzip", instanceID: "a", hostname: "h", newestKnown: 0n })
  return { result, object: Buffer.concat(yield* Stream.runCollect(read(result.spooled))) }
}, Effect.scoped)

/** Returns a snapshot with that many entries in one DBI, which is created without an object per entry. */
export const largeObject = (count: number): Uint8Array => {
  const key = Buffer.alloc(12)
  const value = Buffer.alloc(16, "value")
  key.write("key-")
  const encoder = new EntryEncoder(new Uint8Array(2 ** 20))
  let bytes = 0
  for (let i = 0; i < count; i++) {
    key.writeUInt32BE(i, 4)
    bytes += entrySize(key.length, value.length, 0, 1)
    encoder.add(key, 0, key.length, value, 0, value.length, 0, i + 1, 0)
  }
  const meta = {
    generationID: "GX",
    instanceID: "b",
    hostname: "h",
    databaseName: "main",
    lmdbTxnID: 1n,
    timestampNano: 1n,
    fromLmdbTxnID: 0n
  }
  const head = snapshotHead({ formatVersion: 3, compatVersion: 1 }, meta)
  return gzipSync(
    Buffer.concat([head, dbiHead(DbiName.fromText("d"), 0, "", bytes), encoder.bytes.subarray(0, encoder.length)]),
    { level: 1 }
  )
}
