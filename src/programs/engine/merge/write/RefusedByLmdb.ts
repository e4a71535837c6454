/** Turns errors of LMDB that the content of a snapshot causes into refusals of that snapshot. */
import { Effect } from "effect"
import { RefusedSnapshot } from "../../../../services/Database.ts"
import { LmdbError } from "../../../../services/Lmdb.ts"

/**
 * Codes with which LMDB rejects a put, or reports that it failed because of one. The transaction is then aborted, but
 * other snapshots may succeed. If the file itself is damaged, the next dump detects that by reading it.
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

/**
 * Turns such an error into a refusal of the snapshot. Otherwise a single snapshot would end the daemon at each start.
 */
export const refuseSnapshot = <A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E | RefusedSnapshot, R> =>
  Effect.mapError(write, (error) =>
    error instanceof LmdbError && error.reason._tag === "LmdbFailure" && codesOfContent.has(error.reason.code)
      ? new RefusedSnapshot({ problem: `it cannot be put into the LMDB: ${error.message}` })
      : error
  )
