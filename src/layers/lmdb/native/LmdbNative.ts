/**
 * `Lmdb` over the package `lmdb`, built with the v1 data format: it shares files with LMDB 0.9 of any other process.
 *
 * Guarantees beyond the contract: the map size of the file does not change if `mapSize` is 0. Only LMDB touches the
 * lock file. Whatever an application does to its DBIs, its map or its file between two transactions is noticed at the
 * next one. An LmdbError that is thrown in the body of `write` fails `write`, as if the body had failed with it. Once
 * this process has dropped a DBI, a cursor of `before` or of an older view cannot be opened over it (DbiMissing), but
 * open cursors continue.
 *
 * Not guaranteed: fairness to the application. LMDB's lock is not queued, so callers must pause between transactions.
 *
 * Beginning and committing a write transaction, and opening the environment and handles, block the thread for as long
 * as another process holds the write lock.
 */
import { Effect, Exit, Layer, Scope } from "effect"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import {
  type ChangeSink,
  Lmdb,
  LmdbError,
  type LmdbOptions,
  type ReadTransaction,
  type WriteTransaction,
  type Written
} from "../../../services/Lmdb.ts"
import { changesOf, openPages } from "./pages/NativeChanges.ts"
import { type OpenWrite, tryBeginWrite } from "./BeginWrite.ts"
import type { Environment } from "./NativeEnvironment.ts"
import { failed } from "./NativeErrors.ts"
import { writer } from "./DbiHandles.ts"
import * as Open from "./NativeOpen.ts"
import { type NativeRead, tryBegin } from "./NativeRead.ts"
import { asFailure } from "../ThrownErrors.ts"

export { identityOf } from "./DataFile.ts"

/** Maximum number of attempts. Each failed one means that another process created or dropped a DBI during it. */
const maxRounds = 100

const attempt = <A>(environment: Environment, run: () => A) => Effect.try({ try: run, catch: environment.toError })

const restless = (environment: Environment) =>
  Effect.fail(
    failed(
      environment.path,
      "MDB_BAD_DBI",
      `other processes changed DBIs ${maxRounds} times in a row while a transaction was being begun`
    )
  )

const refreshHandles = (environment: Environment) => attempt(environment, () => environment.refreshHandles())

const read = Effect.fnUntraced(function* (environment: Environment, warnOf: (view: NativeRead) => Effect.Effect<void>) {
  const scope = yield* Effect.scope
  const begin = attempt(environment, () => tryBegin(environment)).pipe(
    Effect.tap((view) => (view === undefined ? Effect.void : Scope.addFinalizer(scope, Effect.sync(view.end)))),
    Effect.uninterruptible
  )
  for (let round = 0; round < maxRounds; round++) {
    const view = yield* begin
    if (view !== undefined) {
      yield* warnOf(view)
      return view
    }
    yield* writer.withPermits(1)(refreshHandles(environment))
  }
  return yield* restless(environment)
})

const begin = Effect.fnUntraced(function* (environment: Environment) {
  for (let round = 0; round < maxRounds; round++) {
    const begun = yield* attempt(environment, () => tryBeginWrite(environment))
    if ("transaction" in begun) return begun
    yield* Effect.promise(() => begun.ended)
    if (begun.why !== undefined) return yield* begun.why
    yield* refreshHandles(environment)
  }
  return yield* restless(environment)
})

const commit = Effect.fnUntraced(function* <A>({ commit, transaction }: OpenWrite, value: A) {
  const lockHeldMillis = yield* Effect.promise(commit)
  if (typeof lockHeldMillis !== "number") return yield* lockHeldMillis
  return { value, id: transaction.id, wrote: transaction.wrote, lockHeldMillis } satisfies Written<A>
})

const write =
  (environment: Environment) =>
  <A, E>(body: (transaction: WriteTransaction) => Effect.Effect<A, E>) =>
    writer.withPermits(1)(
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          yield* Effect.logDebug(`LMDB ${environment.path}: asking for the write lock`)
          const open = yield* begin(environment)
          const exit = yield* Effect.exit(restore(Effect.suspend(() => body(open.transaction))))
          // LMDB would refuse the commit after a failed put, even if the body continued.
          const { failure } = open.transaction
          if (Exit.isSuccess(exit) && failure === undefined) return yield* commit(open, exit.value)
          yield* Effect.promise(open.abort)
          return yield* Exit.isFailure(exit) ? Effect.failCause(asFailure(exit.cause)) : Effect.fail(failure!)
        })
      )
    )

const changes = (environment: Environment) =>
  Effect.fnUntraced(function* (before: ReadTransaction, after: ReadTransaction, sink: ChangeSink) {
    const { file } = yield* Effect.acquireRelease(
      attempt(environment, () => openPages(environment)),
      ({ close }) => Effect.sync(close)
    )
    return yield* attempt(environment, () =>
      changesOf(environment, file, before as NativeRead, after as NativeRead, sink)
    )
  })

/**
 * Verifies an overdue commit with a write transaction. A commit that waits for the disk holds the lock, so the
 * transaction waits for it. A commit that was made without the lock makes the transaction fail.
 */
const lastTransactionId = Effect.fnUntraced(function* (environment: Environment) {
  const last = attempt(environment, () => environment.lastTransactionId())
  const id = yield* last
  if (!environment.guard.isCommitOverdue) return id
  yield* Effect.catchReason(
    write(environment)(() => Effect.void),
    "LmdbError",
    "ReadersFull",
    () => Effect.void
  )
  return yield* last
})

/** Logs one warning for all root entries that are not DBIs, since an application may keep all of its data there. */
const makeWarnOf = (environment: Environment) => {
  let warned = false
  return ({ plainKeys }: NativeRead) => {
    if (warned || plainKeys.length === 0) return Effect.void
    warned = true
    const examples = plainKeys.slice(0, 3).map((name) => `"${DbiName.display(name)}"`)
    return Effect.logWarning(
      `LMDB ${environment.path}: ${plainKeys.length} of the root's entries are no DBI and are ignored: ` +
        `${examples.join(", ")}${plainKeys.length > examples.length ? ", …" : ""}`
    )
  }
}

export const layerWith = (options: LmdbOptions): Layer.Layer<Lmdb, LmdbError> =>
  Layer.effect(
    Lmdb,
    Effect.gen(function* () {
      const environment = yield* Open.environment(options)
      return Lmdb.of({
        path: environment.path,
        lastTransactionId: lastTransactionId(environment),
        storedTransactionId: attempt(environment, () => environment.guard.stored()),
        read: read(environment, makeWarnOf(environment)),
        changes: changes(environment),
        write: write(environment),
        info: attempt(environment, () => environment.info()),
        clearDeadReaders: attempt(environment, () => environment.root.readerCheck())
      })
    })
  )
