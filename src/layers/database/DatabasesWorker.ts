/**
 * `Databases` over worker threads. Refuses a data file that is already open, then assigns the database permanently to
 * its worker.
 */
import { Effect, Layer, Scope } from "effect"
import { Database, DatabaseError, OpenedTwice } from "../../services/Database.ts"
import { Databases } from "../../services/Databases.ts"
import * as DatabaseWorker from "./DatabaseWorker.ts"
import * as DataFile from "../lmdb/native/DataFile.ts"
import { WorkerPool } from "./WorkerPool.ts"

export const layer = Layer.effect(
  Databases,
  Effect.gen(function* () {
    const pool = yield* WorkerPool
    const scope = yield* Scope.Scope
    /** Names of the open databases by device and inode, and by path for a file that does not exist yet. */
    const names = new Map<string, string>()

    const refuseTwice = (name: string, path: string, identity: string) =>
      Effect.suspend(() => {
        const other = names.get(identity)
        if (other !== undefined && other !== name) {
          return Effect.fail(
            new DatabaseError({ database: name, operation: "open", reason: new OpenedTwice({ path, other }) })
          )
        }
        names.set(identity, name)
        return Effect.void
      })

    return Databases.of({
      open: Effect.fn("DatabasesWorker.open")(function* (options) {
        const { lmdb, name } = options
        const path = DataFile.dataFile(lmdb)
        yield* refuseTwice(name, path, path)
        const identity = yield* Effect.sync(() => DataFile.identityOf(lmdb))
        if (identity !== undefined) yield* refuseTwice(name, path, identity)
        const context = yield* Layer.buildWithScope(
          Layer.provide(DatabaseWorker.layerWith(options), Layer.succeed(WorkerPool, pool)),
          scope
        )
        // Opening may have created the file.
        const made = yield* Effect.sync(() => DataFile.identityOf(lmdb))
        if (made !== undefined) yield* refuseTwice(name, path, made)
        return yield* Effect.provideContext(Database, context)
      })
    })
  })
)
