/**
 * Begin and end of a write transaction. The package keeps one open while the promise that its callback returned is
 * pending: so begin is a call with a promise that is settled at the end of the body, which runs as an ordinary effect
 * in between, and the settling is commit or abort.
 */
import { LmdbError, MapResized } from "../../../services/Lmdb.ts"
import type { Environment } from "./NativeEnvironment.ts"
import { failed } from "./NativeErrors.ts"
import { NativeRead, tryBegin } from "./NativeRead.ts"
import { NativeWrite } from "./NativeWrite.ts"

/**
 * An open write transaction. Exactly one of `commit` and `abort` is called, once; their promises are never rejected.
 */
export interface OpenWrite {
  readonly transaction: NativeWrite
  /** Milliseconds from the return of begin to the return of commit. */
  readonly commit: () => Promise<number | LmdbError>
  readonly abort: () => Promise<unknown>
}

/** It was not begun, or is being aborted: nothing may be begun in this thread before `ended`. */
export interface NoWrite {
  /** Undefined when handles are missing or don't fit: refresh them, and try again. */
  readonly why: LmdbError | undefined
  readonly ended: Promise<unknown>
}

/** A reason that the package passes on when it has aborted. */
const abandoned = Symbol("abandoned")

/** With the lock in hand when it returns. */
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

/** The package does not say why begin failed, only that there is no transaction. */
const beginFailed = (environment: Environment): LmdbError => {
  const { lastPageNumber, mapSize } = environment.root.env.info()
  return lastPageNumber >= Math.floor(mapSize / environment.facts.pageSize)
    ? new LmdbError({ path: environment.path, reason: new MapResized() })
    : failed(
        environment.path,
        "MDB_PANIC",
        "a write transaction could not be begun after an earlier fatal error: restart"
      )
}

const beforeOf = (environment: Environment, id: bigint): NativeRead | LmdbError | undefined => {
  if (id === 0n) return beginFailed(environment)
  try {
    environment.guard.requireAlone(id)
    return tryBegin(environment)
  } catch (error) {
    return environment.toError(error)
  }
}

/** Why it must not be committed: another process has committed meanwhile without the lock, and would lose that. */
const refusalOf = (environment: Environment, id: bigint): LmdbError | undefined => {
  try {
    environment.guard.requireAlone(id)
    return undefined
  } catch (error) {
    return environment.toError(error)
  }
}

/** Only with the permit of `writer`. Throws LmdbError when not even the call for it succeeded. */
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
