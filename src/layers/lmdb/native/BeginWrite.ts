/**
 * Begins and ends a write transaction. The package keeps the transaction open while the promise that its callback
 * returned is pending. Begin therefore calls the package with a promise, the body runs as an ordinary Effect, and
 * settling the promise afterwards commits or aborts.
 */
import type { LmdbError } from "../../../services/Lmdb.ts"
import type { Environment } from "./NativeEnvironment.ts"
import { beginFailed } from "./NativeErrors.ts"
import { NativeRead, tryBegin } from "./NativeRead.ts"
import { NativeWrite } from "./NativeWrite.ts"

/**
 * An open write transaction. Exactly one of `commit` and `abort` must be called, once. Their promises are never
 * rejected.
 */
export interface OpenWrite {
  readonly transaction: NativeWrite
  /** Commits, and returns the milliseconds from the return of begin to the return of commit. */
  readonly commit: () => Promise<number | LmdbError>
  readonly abort: () => Promise<unknown>
}

/** A transaction that was not begun or is being aborted. This thread must not begin another one before `ended`. */
export interface NoWrite {
  /** Undefined when handles are missing or do not fit: refresh them, then try again. */
  readonly why: LmdbError | undefined
  readonly ended: Promise<unknown>
}

/** The reason for an abort, which the package passes back afterwards. */
const abandoned = Symbol("abandoned")

/** Begins a transaction. The write lock is held when it returns. */
const beginNative = (environment: Environment) => {
  const { promise, reject, resolve } = Promise.withResolvers<void>()
  let begun = 0
  let id = 0
  const finished = environment.root.transactionSync(() => {
    begun = performance.now()
    id = environment.root.getWriteTxnId()
    return promise
  })
  const ended = finished.then(
    () => performance.now() - begun,
    (error: unknown) => (error === abandoned ? 0 : environment.toError(error))
  )
  return { id: BigInt(id), ended, resolve, abandon: () => reject(abandoned) }
}

const beforeOf = (environment: Environment, id: bigint): NativeRead | LmdbError | undefined => {
  if (id === 0n) return beginFailed(environment.facts)
  try {
    environment.guard.requireAlone(id)
    return tryBegin(environment)
  } catch (error) {
    return environment.toError(error)
  }
}

/**
 * Returns the reason to refuse the transaction: another process has committed without the lock meanwhile, and this
 * commit would discard its changes.
 */
const refusalOf = (environment: Environment, id: bigint): LmdbError | undefined => {
  try {
    environment.guard.requireAlone(id)
    return undefined
  } catch (error) {
    return environment.toError(error)
  }
}

/** Requires the permit of `writer`. Throws LmdbError when the package could not even be called. */
export const tryBeginWrite = (environment: Environment): OpenWrite | NoWrite => {
  environment.guard.requireSame()
  let begun: ReturnType<typeof beginNative>
  try {
    begun = beginNative(environment)
  } catch (error) {
    throw environment.toError(error)
  }
  const { abandon, ended, id, resolve } = begun
  const before = beforeOf(environment, id)
  if (!(before instanceof NativeRead)) {
    abandon()
    return { why: before, ended }
  }
  const transaction = new NativeWrite(environment, id, before)
  return {
    transaction,
    commit: () => {
      transaction.end()
      const refusal = refusalOf(environment, id)
      if (refusal !== undefined) {
        abandon()
        return ended.then(() => refusal)
      }
      resolve()
      return ended.then((result) => {
        if (typeof result === "number") transaction.committed()
        return result
      })
    },
    abort: () => {
      transaction.end()
      abandon()
      return ended
    }
  }
}
