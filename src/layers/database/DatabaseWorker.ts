/**
 * `Database` in a worker thread. The main thread only waits, so its event loop stays free whatever LMDB does. Commands
 * and results, typed errors (as schemas) and interruptions cross the boundary. An interruption is awaited: see
 * `inCall`.
 *
 * When a worker dies, its pending calls fail with `WorkerLost`. RPC then starts another worker. The environments of the
 * dead one are still open in the process and must not be opened again, so the new worker refuses every call, and the
 * daemon ends itself.
 */
import { Effect, Layer } from "effect"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import { Database, DatabaseError, type DatabaseOptions, isWorkerLost, WorkerLost } from "../../services/Database.ts"
import * as DataFileWatch from "./DataFileWatch.ts"
import * as DataFile from "../lmdb/native/DataFile.ts"
import { WorkerPool } from "./WorkerPool.ts"

// Numbers distinguish the calls of all databases that share a worker.
let calls = 0

const make = Effect.fnUntraced(function* (options: DatabaseOptions) {
  const database = options.name
  const client = yield* (yield* WorkerPool).pin(database)

  const lost = (operation: DatabaseError["operation"]) =>
    Effect.mapError((error: DatabaseError | RpcClientError) =>
      error._tag === "DatabaseError"
        ? error
        : new DatabaseError({ database, operation, reason: new WorkerLost({ detail: error.message }) })
    )

  yield* lost("open")(client.Open({ options }))

  /** Ends only when the engine has left the call, however that ends. There is nothing to wait for in a dead worker. */
  const inCall = <A>(
    operation: "dump" | "merge" | "sweep",
    use: (call: { readonly database: string; readonly call: number }) => Effect.Effect<A, DatabaseError>
  ) =>
    Effect.acquireUseRelease(
      Effect.suspend(() => {
        const call = { database, call: calls++ }
        return Effect.as(lost(operation)(client.Begin(call)), call)
      }),
      use,
      (call, exit) => (isWorkerLost(exit) ? Effect.void : Effect.ignore(client.End(call)))
    )

  return Database.of({
    name: database,
    touched: yield* DataFileWatch.watch(DataFile.dataFile(options.lmdb)),
    changes: lost("changes")(client.Changes({ database })),
    info: lost("info")(client.Info({ database })),
    mappedMemory: lost("info")(client.MappedMemory({ database })),
    newest: lost("newest")(client.Newest({ database })),
    staleMark: lost("mark")(client.StaleMark({ database })),
    markStale: (newest) => lost("mark")(client.MarkStale({ database, newest })),
    clearDeadReaders: lost("info")(client.ClearDeadReaders({ database })),
    dump: (request) => inCall("dump", (call) => lost("dump")(client.Dump({ ...call, request }))),
    dumpDelta: (request) => inCall("dump", (call) => lost("dump")(client.DumpDelta({ ...call, request }))),
    merge: (request) => inCall("merge", (call) => lost("merge")(client.Merge({ ...call, request }))),
    sweep: (request) => inCall("sweep", (call) => lost("sweep")(client.Sweep({ ...call, request })))
  })
})

export const layerWith = (options: DatabaseOptions) => Layer.effect(Database, make(options))
