/**
 * Environments with a `Database` in this thread over them, as tests want them: raw contents in and out, snapshots in
 * and out.
 */
import { Effect, Layer, Stream } from "effect"
import * as DbiName from "../../../src/domain/DbiName.ts"
import * as Compressions from "../../../src/layers/Compressions.ts"
import * as DatabaseInline from "../../../src/layers/DatabaseInline.ts"
import * as LmdbNative from "../../../src/layers/LmdbNative.ts"
import * as SpoolMemory from "../../../src/layers/SpoolMemory.ts"
import {
  Database,
  type DatabaseOptions,
  type DumpRequest,
  type SnapshotFormat
} from "../../../src/services/Database.ts"
import { GarbageCollector } from "../../../src/services/GarbageCollector.ts"
import { Lmdb, type LmdbError, type ReadTransaction, type WriteTransaction } from "../../../src/services/Lmdb.ts"
import { Spool } from "../../../src/services/Spool.ts"

export const databaseOptions = (overrides: Partial<DatabaseOptions> = {}): DatabaseOptions => ({
  name: "main",
  lmdb: {
    path: "/memory/data.mdb",
    noSubdir: true,
    create: true,
    mapSize: 0,
    maxDbs: 64,
    dirMask: 0o775,
    fileMask: 0o664
  },
  paddingBlock: false,
  mergeLockMillis: 0,
  ...overrides
})

export const nativeOptions = (path: string, overrides: Partial<DatabaseOptions> = {}): DatabaseOptions => {
  const options = databaseOptions(overrides)
  return { ...options, lmdb: { ...options.lmdb, path } }
}

export const collectorIdle = Layer.succeed(GarbageCollector, { collect: Effect.void })

/** `Database` over this environment, and what else a test wants to touch. */
export const over = (
  lmdb: Layer.Layer<Lmdb, LmdbError>,
  options = databaseOptions(),
  compression = Compressions.layer,
  collector = collectorIdle
) =>
  DatabaseInline.layerWith(options).pipe(
    Layer.provideMerge(Layer.mergeAll(lmdb, SpoolMemory.layer)),
    Layer.provide([compression, collector])
  )

export const overNative = (options: DatabaseOptions) => over(LmdbNative.layerWith(options.lmdb), options)

const hex = (bytes: Uint8Array, start: number, end: number) => Buffer.from(bytes.subarray(start, end)).toString("hex")

export interface RawDbi {
  readonly name: DbiName.DbiName
  readonly flags: number
  /** Hexadecimal; the value with its header. */
  readonly entries: ReadonlyArray<{ readonly key: string; readonly value: string }>
}

const rawOf = (transaction: ReadTransaction): ReadonlyArray<RawDbi> =>
  transaction.dbis.map(({ flags, name }) => {
    const cursor = transaction.cursor(name)
    const entries: Array<{ key: string; value: string }> = []
    while (cursor.next()) {
      entries.push({
        key: hex(cursor.key, cursor.keyStart, cursor.keyEnd),
        value: hex(cursor.value, cursor.valueStart, cursor.valueEnd)
      })
    }
    return { name, flags, entries }
  })

/** Everything. */
export const raw = Effect.flatMap(Lmdb, ({ read }) => Effect.scoped(Effect.map(read, rawOf)))

export const lastId = Effect.flatMap(Lmdb, ({ lastTransactionId }) => lastTransactionId)

const bytes = (text: string) => Buffer.from(text, "hex")

/** Makes the DBIs that are not there, and puts the entries as they are. */
export const putRaw =
  (dbis: ReadonlyArray<RawDbi>) =>
  (transaction: WriteTransaction): void => {
    for (const { entries, flags, name } of dbis) {
      if (!transaction.dbis().some((dbi) => dbi.name === name)) transaction.create(name, flags)
      for (const { key, value } of entries) {
        transaction.put(name, bytes(key), 0, key.length / 2, bytes(value), 0, value.length / 2, false)
      }
    }
  }

export const write = (body: (transaction: WriteTransaction) => void) =>
  Effect.flatMap(Lmdb, (lmdb) => lmdb.write((transaction) => Effect.sync(() => body(transaction))))

/** A place that holds these bytes; freed with the scope. */
export const spool = Effect.fnUntraced(function* (compressed: Uint8Array) {
  const service = yield* Spool
  const writer = service.writer(yield* service.open)
  yield* writer.append(compressed)
  return yield* writer.finish
})

/** Merges an object as it is in the bucket. */
export const merge = (compressed: Uint8Array, format: SnapshotFormat = "gzip") =>
  Effect.scoped(
    Effect.gen(function* () {
      const database = yield* Database
      return yield* database.merge({ spooled: yield* spool(compressed), format })
    })
  )

/** The object that a dump gives, and its result. */
export const dump = (request: Partial<DumpRequest> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const database = yield* Database
      const { open, read } = yield* Spool
      const place = yield* open
      const result = yield* database.dump({
        place,
        format: "gzip",
        instanceID: "a",
        hostname: "host-a",
        newestKnown: 0n,
        ...request
      })
      return { result, object: Buffer.concat(yield* Stream.runCollect(read(result.spooled))) }
    })
  )
