/**
 * The worker's half of `DatabaseWorker`: answers each message with the `Database` of that name in this thread. A
 * database stays open as long as the worker: LMDB wants one handle per path and process. So does an environment whose
 * database could not be opened, for want of a slot for readers: closing it would free neither its mapping nor its
 * descriptors, and the next attempt would take as many again.
 */
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import { type Context, Effect, Layer, Semaphore } from "effect"
import * as RpcServer from "effect/rpc/RpcServer"
import { Database, DatabaseError, type DatabaseOptions, WorkerLost } from "../../services/Database.ts"
import type { Lmdb, LmdbError } from "../../services/Lmdb.ts"
import { DatabaseRpcs } from "./DatabaseRpcs.ts"

/** What is opened for a database. */
export interface Layers {
  readonly lmdb: (options: DatabaseOptions) => Layer.Layer<Lmdb, LmdbError>
  readonly database: (options: DatabaseOptions) => Layer.Layer<Database, DatabaseError | LmdbError, Lmdb>
}

const handlers = (layers: Layers) =>
  DatabaseRpcs.toLayer(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const databases = new Map<string, Database["Service"]>()
      const environments = new Map<string, Context.Context<Lmdb>>()
      const environment = Effect.fnUntraced(function* (options: DatabaseOptions) {
        const open = environments.get(options.name)
        if (open !== undefined) return open
        const opened = yield* Layer.buildWithScope(layers.lmdb(options), scope)
        environments.set(options.name, opened)
        return opened
      })
      const open = Effect.fnUntraced(function* (options: DatabaseOptions) {
        const lmdb = Layer.succeedContext(yield* environment(options))
        return yield* Layer.buildWithScope(Layer.provide(layers.database(options), lmdb), scope)
      })
      // Unknown: it was opened in a worker that died before this one started.
      const database = (name: string, operation: DatabaseError["operation"]) =>
        Effect.suspend(() => {
          const found = databases.get(name)
          if (found !== undefined) return Effect.succeed(found)
          return new DatabaseError({
            database: name,
            operation,
            reason: new WorkerLost({ detail: "it was another thread's database" })
          })
        })
      // This thread's lines go to the log by themselves: the main thread's annotations are not here.
      const inDatabase = <A, E>(
        name: string,
        operation: DatabaseError["operation"],
        use: (database: Database["Service"]) => Effect.Effect<A, E>
      ) => Effect.flatMap(database(name, operation), use).pipe(Effect.annotateLogs({ db: name }))

      // Held while the engine runs; `End` waits for it.
      const running = new Map<number, Semaphore.Semaphore>()
      const inCall = <A, E>(call: number, use: Effect.Effect<A, E>) =>
        Effect.suspend(() => running.get(call)?.withPermits(1)(use) ?? use)

      return DatabaseRpcs.of({
        Open: Effect.fnUntraced(
          function* ({ options }) {
            const context = yield* Effect.mapError(open(options), (reason) =>
              reason._tag === "DatabaseError"
                ? reason
                : new DatabaseError({ database: options.name, operation: "open", reason })
            )
            databases.set(options.name, yield* Effect.provideContext(Database, context))
          },
          (effect, { options }) => Effect.annotateLogs(effect, { db: options.name })
        ),
        Changes: (request) => inDatabase(request.database, "changes", (_) => _.changes),
        Info: (request) => inDatabase(request.database, "info", (_) => _.info),
        ClearDeadReaders: (request) => inDatabase(request.database, "info", (_) => _.clearDeadReaders),
        Newest: (request) => inDatabase(request.database, "newest", (_) => _.newest),
        IsMarkedStale: (request) => inDatabase(request.database, "mark", (_) => _.isMarkedStale),
        MarkStale: (request) => inDatabase(request.database, "mark", (_) => _.markStale(request.stale)),
        Begin: ({ call }) => Effect.sync(() => void running.set(call, Semaphore.makeUnsafe(1))),
        Dump: (request) =>
          inCall(
            request.call,
            inDatabase(request.database, "dump", (_) => _.dump(request.request))
          ),
        Merge: (request) =>
          inCall(
            request.call,
            inDatabase(request.database, "merge", (_) => _.merge(request.request))
          ),
        Sweep: (request) =>
          inCall(
            request.call,
            inDatabase(request.database, "sweep", (_) => _.sweep(request.request))
          ),
        End: ({ call }) =>
          Effect.suspend(() => {
            const held = running.get(call)
            running.delete(call)
            return held === undefined ? Effect.void : held.withPermits(1)(Effect.void)
          })
      })
    })
  )

/** Serves until the main thread closes the worker. */
export const serve = (layers: Layers) =>
  // Without disableFatalDefects one call's defect would end every call of this worker.
  RpcServer.layer(DatabaseRpcs, { disableFatalDefects: true, disableTracing: true }).pipe(
    Layer.provide(handlers(layers)),
    Layer.provide(RpcServer.layerProtocolWorkerRunner),
    Layer.provide(NodeWorkerRunner.layer),
    Layer.launch
  )
