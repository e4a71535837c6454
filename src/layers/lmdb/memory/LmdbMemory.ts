/**
 * `Lmdb` in memory, for tests: the same contract without files, other processes, or a lock that blocks the thread. A
 * test acts as the application through `application`, which commits as another process would.
 *
 * It differs from the native layer: the map is full by the bytes of entries, not by pages; `enlargeMap` also fills the
 * map beyond its old size; waiting for the write lock suspends the fiber; readers and DBIs are unlimited.
 */
import { Effect, Exit, Layer, Semaphore } from "effect"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import {
  type ChangeSink,
  Lmdb,
  LmdbError,
  LmdbFailure,
  MapResized,
  type ReadTransaction,
  Replaced,
  type WriteTransaction
} from "../../../services/Lmdb.ts"
import { changesOf } from "./MemoryChanges.ts"
import { type Committed, MemoryRead, MemoryWrite, pageSize, usedBytes } from "./MemoryTransaction.ts"
import { asFailure } from "../ThrownErrors.ts"

export interface MemoryOptions {
  readonly path?: string | undefined
  readonly mapSize?: number | undefined
}

/** One writer at a time per thread, over all environments. */
const writer = Semaphore.makeUnsafe(1)

interface State {
  readonly path: string
  readonly mapSize: number
  /** LMDB's write lock, which the application takes, too. */
  readonly lock: Semaphore.Semaphore
  committed: Committed
  readers: number
  /** The reason why no further transaction can begin. */
  end: LmdbError["reason"] | undefined
}

const makeState = ({ mapSize = 2 ** 30, path = "/memory/data.mdb" }: MemoryOptions): State => ({
  path,
  mapSize,
  lock: Semaphore.makeUnsafe(1),
  committed: { id: 0n, tables: new Map() },
  readers: 0,
  end: undefined
})

const fail = (state: State, reason: LmdbError["reason"]) => Effect.fail(new LmdbError({ path: state.path, reason }))

const requireUsable = (state: State) =>
  Effect.suspend(() => (state.end === undefined ? Effect.void : fail(state, state.end)))

const requireSame = (state: State) =>
  Effect.suspend(() => (state.end?._tag === "Replaced" ? fail(state, state.end) : Effect.void))

const read = (state: State) =>
  Effect.acquireRelease(
    Effect.map(requireUsable(state), () => {
      state.readers++
      return new MemoryRead(state.path, state.committed)
    }),
    (view) =>
      Effect.sync(() => {
        view.end()
        state.readers--
      })
  )

const changes = (state: State) => (before: ReadTransaction, after: ReadTransaction, sink: ChangeSink) =>
  Effect.suspend(() => {
    if (before.id <= after.id) return Effect.succeed(changesOf(before as MemoryRead, after as MemoryRead, sink))
    return fail(
      state,
      new LmdbFailure({
        code: "MDB_BAD_TXN",
        detail: `the older view is of transaction ${before.id}, the newer one of ${after.id}`
      })
    )
  })

/** Commits a transaction. An empty transaction is not recorded. */
const commit = (state: State, transaction: MemoryWrite): void => {
  if (transaction.wrote) state.committed = transaction.committed
}

const write =
  (state: State) =>
  <A, E>(body: (transaction: WriteTransaction) => Effect.Effect<A, E>) =>
    writer.withPermits(1)(
      state.lock.withPermits(1)(
        Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            yield* requireUsable(state)
            const begun = performance.now()
            const transaction = new MemoryWrite(state.path, state.mapSize, state.committed)
            const exit = yield* Effect.exit(restore(Effect.suspend(() => body(transaction))))
            transaction.end()
            if (Exit.isFailure(exit)) return yield* Effect.failCause(asFailure(exit.cause))
            if (transaction.failure !== undefined) return yield* transaction.failure
            commit(state, transaction)
            return {
              value: exit.value,
              id: transaction.id,
              wrote: transaction.wrote,
              lockHeldMillis: performance.now() - begun
            }
          })
        )
      )
    )

const service = (state: State) =>
  Lmdb.of({
    path: state.path,
    lastTransactionId: Effect.map(requireSame(state), () => state.committed.id),
    storedTransactionId: Effect.map(requireSame(state), () => state.committed.id),
    read: read(state),
    changes: changes(state),
    write: write(state),
    info: Effect.map(requireUsable(state), () => ({
      lastTransactionId: state.committed.id,
      mapSize: state.mapSize,
      fileSize: usedBytes(state.committed.tables),
      used: usedBytes(state.committed.tables),
      pageSize,
      readers: state.readers,
      maxReaders: 126,
      oldestReadMillis: 0,
      dbis: Array.from(state.committed.tables)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, table]) => ({
          name: DbiName.display(name),
          flags: table.flags,
          entries: table.keys.length,
          depth: 1,
          branchPages: 0,
          leafPages: 1,
          overflowPages: 0
        }))
    })),
    // All readers belong to this process.
    clearDeadReaders: Effect.map(requireUsable(state), () => 0)
  })

/** The application's side of an environment. */
export interface Application {
  /**
   * Runs `body` in a transaction of its own when no other one is open. An exception in `body` aborts it. Returns the
   * last transaction id.
   */
  readonly write: (body: (transaction: WriteTransaction) => void) => Effect.Effect<bigint, LmdbError>
  /** Replaces the data file with an empty one. */
  readonly replace: Effect.Effect<void>
  /** Enlarges the map and fills it beyond the size that is in use here. */
  readonly enlargeMap: Effect.Effect<void>
}

const application = (state: State): Application => ({
  write: (body) =>
    state.lock.withPermits(1)(
      Effect.try({
        try: () => {
          const transaction = new MemoryWrite(state.path, state.mapSize, state.committed)
          body(transaction)
          if (transaction.failure !== undefined) throw transaction.failure
          commit(state, transaction)
          return state.committed.id
        },
        catch: (error) => {
          if (error instanceof LmdbError) return error
          throw error
        }
      })
    ),
  replace: Effect.sync(() => void (state.end = new Replaced({}))),
  enlargeMap: Effect.sync(() => void (state.end = new MapResized()))
})

/**
 * The layer may be built any number of times. Each build shows the same environment, so that a test can restart its
 * users.
 */
export const makeMemoryEnvironment = (options: MemoryOptions = {}) => {
  const state = makeState(options)
  return { layer: Layer.sync(Lmdb, () => service(state)), application: application(state) }
}

/** Each build of the layer has an environment of its own. */
export const layerWith = (options: MemoryOptions = {}): Layer.Layer<Lmdb> =>
  Layer.sync(Lmdb, () => service(makeState(options)))
