/**
 * A few worker threads that all databases share. Each database is pinned to one worker, because LMDB allows only one
 * handle per path and process. The service is private to `DatabaseWorker`, so it is not in src/services. Closing the
 * scope asks each worker to finish and terminates it after 5 s.
 */
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { Context, Effect, Layer } from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import { Worker, type WorkerOptions } from "node:worker_threads"
import { DatabaseRpcs } from "./DatabaseRpcs.ts"
import { resourceLimits } from "../process/ProcessMemory.ts"
import type { EarlyThread } from "./EarlyThread.ts"

export interface WorkerPoolOptions {
  /** The module that calls `DatabaseWorkerServer.serve`. */
  readonly entry: URL
  readonly size: number
  readonly worker?: WorkerOptions | undefined
  /** A thread with the same entry that has started already. It becomes the first worker. */
  readonly early?: EarlyThread | undefined
}

export class WorkerPool extends Context.Service<
  WorkerPool,
  {
    /** Returns the client of the worker that `database` is pinned to. At first that is the least used worker. */
    readonly pin: (database: string) => Effect.Effect<RpcClient.FromGroup<typeof DatabaseRpcs, RpcClientError>>
  }
>()("lightningstream/layers/WorkerPool") {}

const startThread = ({ early, entry, worker }: WorkerPoolOptions): Worker =>
  early?.take(worker?.workerData) ?? new Worker(entry, { resourceLimits, ...worker })

/**
 * Each worker is a pool of its own, because RpcClient's pool picks any free worker, and a dying worker fails the calls
 * of all.
 */
const makeClient = (options: WorkerPoolOptions) =>
  RpcClient.make(DatabaseRpcs, { disableTracing: true }).pipe(
    // Calls at once on one worker. Without concurrency, a long dump would keep `changes` waiting.
    Effect.provideServiceEffect(RpcClient.Protocol, RpcClient.makeProtocolWorker({ size: 1, concurrency: 1_000 })),
    Effect.provide(NodeWorker.layer(() => startThread(options)))
  )

export const layerWith = (options: WorkerPoolOptions) =>
  Layer.effect(
    WorkerPool,
    Effect.gen(function* () {
      const clients = yield* Effect.replicateEffect(makeClient(options), options.size, { concurrency: "unbounded" })
      const pinned = new Map<string, number>()
      return WorkerPool.of({
        pin: (database) =>
          Effect.sync(() => {
            const index = pinned.get(database) ?? pinned.size % clients.length
            pinned.set(database, index)
            return clients[index]!
          })
      })
    })
  )
