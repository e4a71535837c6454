/**
 * The worker's half of `DatabaseWorker`. It passes each message to the `Database` of that name in this thread. A
 * database stays open for as long as the worker lives, because LMDB allows one handle per path and process. An
 * environment stays open even if its database could not be opened for lack of a reader slot: closing it would free
 * neither its mapping nor its descriptors, and the next attempt would take as many again.
 */
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import { type Context, Effect, Layer, Semaphore } from "effect"
import * as RpcServer from "effect/rpc/RpcServer"
import { Database, DatabaseError, type DatabaseOptions, WorkerLost } from "../../services/Database.ts"
import type { Lmdb, LmdbError } from "../../services/Lmdb.ts"
import { DatabaseRpcs } from "./DatabaseRpcs.ts"

/** The layers that are built for a database. */
export interface Layers {
  readonly lmdb: (options: DatabaseOptions) => Layer.Layer<Lmdb, LmdbError>
  readonly database: (options: DatabaseOptions) => Layer.Layer<Database, DatabaseError | LmdbError, Lmdb>
}

type Use<A, E> = (database: Database["Service"]) => Effect.Effect<A, E>

/** The databases of this thread, by name. */
const makeDatabases = Effect.fnUntraced(function* (layers: Layers) {
  const scope = yield* Effect.scope
  const databases = new Map<string, Database["Service"]>()
  const environments = new Map<string, Context.Context<Lmdb>>()

  const environment = Effect.fnUntraced(function* (options: DatabaseOptions) {
    const opened = environments.get(options.name) ?? (yield* Layer.buildWithScope(layers.lmdb(options), scope))
    environments.set(options.name, opened)
    return opened
  })

  const open = Effect.fnUntraced(function* (options: DatabaseOptions) {
    const lmdb = Layer.succeedContext(yield* environment(options))
    const context = yield* Layer.buildWithScope(Layer.provide(layers.database(options), lmdb), scope)
    databases.set(options.name, yield* Effect.provideContext(Database, context))
  })

  const database = (name: string, operation: DatabaseError["operation"]) =>
    Effect.suspend(() => {
      const found = databases.get(name)
      if (found !== undefined) return Effect.succeed(found)
      // The database was opened in a worker that died before this one started.
      return new DatabaseError({
        database: name,
        operation,
        reason: new WorkerLost({ detail: "it was another thread's database" })
      })
    })

  return {
    open: (options: DatabaseOptions) =>
      open(options).pipe(
        Effect.mapError((reason) =>
          reason._tag === "DatabaseError"
            ? reason
            : new DatabaseError({ database: options.name, operation: "open", reason })
        ),
        Effect.annotateLogs({ db: options.name })
      ),
    // This thread writes its log lines itself, without the annotations of the main thread.
    use: <A, E>(name: string, operation: DatabaseError["operation"], use: Use<A, E>) =>
      Effect.flatMap(database(name, operation), use).pipe(Effect.annotateLogs({ db: name }))
  }
})

/** The calls that use the engine. `end` waits for a call that is still running. */
const makeCalls = () => {
  const running = new Map<number, Semaphore.Semaphore>()
  return {
    begin: (call: number) => Effect.sync(() => void running.set(call, Semaphore.makeUnsafe(1))),
    run: <A, E>(call: number, use: Effect.Effect<A, E>) =>
      Effect.suspend(() => running.get(call)?.withPermits(1)(use) ?? use),
    end: (call: number) =>
      Effect.suspend(() => {
        const held = running.get(call)
        running.delete(call)
        return held === undefined ? Effect.void : held.withPermits(1)(Effect.void)
      })
  }
}

const handlers = (layers: Layers) =>
  DatabaseRpcs.toLayer(
    Effect.gen(function* () {
      const { open, use } = yield* makeDatabases(layers)
      const calls = makeCalls()
      return DatabaseRpcs.of({
        Open: ({ options }) => open(options),
        Changes: ({ database }) => use(database, "changes", (_) => _.changes),
        Info: ({ database }) => use(database, "info", (_) => _.info),
        MappedMemory: ({ database }) => use(database, "info", (_) => _.mappedMemory),
        ClearDeadReaders: ({ database }) => use(database, "info", (_) => _.clearDeadReaders),
        Newest: ({ database }) => use(database, "newest", (_) => _.newest),
        StaleMark: ({ database }) => use(database, "mark", (_) => _.staleMark),
        MarkStale: ({ database, newest }) => use(database, "mark", (_) => _.markStale(newest)),
        Begin: ({ call }) => calls.begin(call),
        Dump: ({ call, database, request }) =>
          calls.run(
            call,
            use(database, "dump", (_) => _.dump(request))
          ),
        DumpDelta: ({ call, database, request }) =>
          calls.run(
            call,
            use(database, "dump", (_) => _.dumpDelta(request))
          ),
        Merge: ({ call, database, request }) =>
          calls.run(
            call,
            use(database, "merge", (_) => _.merge(request))
          ),
        Sweep: ({ call, database, request }) =>
          calls.run(
            call,
            use(database, "sweep", (_) => _.sweep(request))
          ),
        End: ({ call }) => calls.end(call)
      })
    })
  )

/** Serves until the main thread closes the worker. */
export const serve = (layers: Layers) =>
  // Without disableFatalDefects, a defect in one call would end every call of this worker.
  RpcServer.layer(DatabaseRpcs, { disableFatalDefects: true, disableTracing: true }).pipe(
    Layer.provide(handlers(layers)),
    Layer.provide(RpcServer.layerProtocolWorkerRunner),
    Layer.provide(NodeWorkerRunner.layer),
    Layer.launch
  )
