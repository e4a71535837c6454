/** Errors of LMDB that the contents of a snapshot are to blame for. */
import { Effect } from "effect"
import { RefusedSnapshot } from "../../../../services/Database.ts"
import { LmdbError } from "../../../../services/Lmdb.ts"

/**
 * Codes with which LMDB rejects what is put, or reports that it failed over it. The transaction is aborted then, and
 * others may well succeed. A damaged file shows when it is read, by the next dump.
 */
const codesOfContent: ReadonlySet<string> = new Set([
  "MDB_BAD_VALSIZE",
  "MDB_KEYEXIST",
  "MDB_INCOMPATIBLE",
  "MDB_DBS_FULL",
  "MDB_PAGE_FULL",
  "MDB_CURSOR_FULL",
  "MDB_TXN_FULL",
  "MDB_CORRUPTED",
  "MDB_PROBLEM"
])

/** Turns such an error into a refusal of the snapshot. Otherwise one snapshot would end the daemon at each start. */
export const refuseSnapshot = <A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E | RefusedSnapshot, R> =>
  Effect.mapError(write, (error) =>
    error instanceof LmdbError && error.reason._tag === "LmdbFailure" && codesOfContent.has(error.reason.code)
      ? new RefusedSnapshot({ problem: `it cannot be put into the LMDB: ${error.message}` })
      : error
  )
