/**
 * A few worker threads, shared by all databases; each database is pinned to one, because LMDB wants one handle per path
 * and process. Private to `DatabaseWorker`, so a service of the layers only. Closing the scope asks each worker to
 * finish and ends it after 5 s.
 */
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { Context, Effect, Layer } from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import { Worker, type WorkerOptions } from "node:worker_threads"
import { DatabaseRpcs } from "./DatabaseRpcs.ts"
import { resourceLimits } from "../process/ProcessMemory.ts"

export interface WorkerPoolOptions {
  /** The module that calls `DatabaseWorkerServer.serve`. */
  readonly entry: URL
  readonly size: number
  readonly worker?: WorkerOptions | undefined
}

export class WorkerPool extends Context.Service<
  WorkerPool,
  {
    /** The client of the worker that `database` is pinned to, the least used one at first. */
    readonly pin: (database: string) => Effect.Effect<RpcClient.FromGroup<typeof DatabaseRpcs, RpcClientError>>
  }
>()("lightningstream/layers/WorkerPool") {}

/** One worker as a pool of its own: RpcClient's pool picks any free worker, and a dying one fails the calls of all. */
const makeClient = (options: WorkerPoolOptions) =>
  RpcClient.make(DatabaseRpcs, { disableTracing: true }).pipe(
    // Calls at once on one worker; without it a long dump would keep `changes` waiting.
    Effect.provideServiceEffect(RpcClient.Protocol, RpcClient.makeProtocolWorker({ size: 1, concurrency: 1_000 })),
    Effect.provide(NodeWorker.layer(() => new Worker(options.entry, { resourceLimits, ...options.worker })))
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
