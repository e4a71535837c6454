/** Two instances in one process: the daemon's program over a bucket and LMDBs in memory. README.md shows this file. */
import { Effect, Layer } from "effect"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import * as Compressions from "../../src/layers/compression/Compressions.ts"
import * as DatabaseInline from "../../src/layers/database/DatabaseInline.ts"
import * as GarbageCollectorV8 from "../../src/layers/memory/GarbageCollectorV8.ts"
import * as HealthRegistry from "../../src/layers/health/HealthRegistry.ts"
import * as LmdbMemory from "../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as MemoryBudgetPermits from "../../src/layers/memory/MemoryBudgetPermits.ts"
import * as SpoolMemory from "../../src/layers/spool/SpoolMemory.ts"
import * as StorageMemory from "../../src/layers/storage/StorageMemory.ts"
import * as Daemon from "../../src/programs/Daemon.ts"
import { Database } from "../../src/services/Database.ts"
import { Databases } from "../../src/services/Databases.ts"
import { Lmdb } from "../../src/services/Lmdb.ts"
import { Storage } from "../../src/services/Storage.ts"
import * as SettingsTest from "../support/fixtures/SettingsTest.ts"

const computing = Layer.mergeAll(Compressions.layer, SpoolMemory.layer, GarbageCollectorV8.layer)

/** Opens each database over this environment, in the calling thread: in place of worker threads and files. */
const databasesOver = (lmdb: Layer.Layer<Lmdb>) =>
  Layer.succeed(Databases, {
    open: (options) =>
      Effect.provide(Database, DatabaseInline.layerWith(options).pipe(Layer.provide([computing, lmdb])))
  })

/** `sync --only-once`; the bucket comes from outside. */
const syncOnce = (instance: string, lmdb: Layer.Layer<Lmdb>) =>
  Daemon.run(
    { receiveOnly: false, onlyOnce: true, onlyDb: [], markerFile: undefined, acceptStale: false, hostname: instance },
    Effect.never,
    () => Effect.void
  ).pipe(
    Effect.provide(
      Layer.mergeAll(
        SettingsTest.layerWith({ instance }),
        databasesOver(lmdb),
        MemoryBudgetPermits.layerWith({ download: 1, decompress: 1 }).pipe(Layer.provide(GarbageCollectorV8.layer)),
        SpoolMemory.layer,
        HealthRegistry.layer
      )
    )
  )

const users = DbiName.fromText("users")
const key = Buffer.from("alice")
/** Of a native value: timestamp 1, transaction 1, no flags, no extension blocks. */
const header = Buffer.from("0000000000000001".repeat(2) + "0000000000000000", "hex")
const value = Buffer.concat([header, Buffer.from("admin")])

export const program = Effect.gen(function* () {
  const [here, there] = [LmdbMemory.makeMemoryEnvironment(), LmdbMemory.makeMemoryEnvironment()]
  yield* here.application.write((transaction) => {
    transaction.create(users, 0)
    transaction.put(users, key, 0, key.length, value, 0, value.length, false)
  })

  const codes = [yield* syncOnce("here", here.layer), yield* syncOnce("there", there.layer)]
  const objects = yield* Effect.flatMap(Storage, (storage) => storage.list(""))
  const arrived = yield* Effect.flatMap(Lmdb, (lmdb) => lmdb.read).pipe(
    Effect.map((transaction) => {
      const cursor = transaction.cursor(users)
      cursor.next()
      return Buffer.from(cursor.value).toString("utf8", cursor.valueStart + header.length, cursor.valueEnd)
    }),
    Effect.scoped,
    Effect.provide(there.layer)
  )
  return { codes, objects: objects.map(({ name }) => name), arrived }
}).pipe(Effect.provide(StorageMemory.layer))
