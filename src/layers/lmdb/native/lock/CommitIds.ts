/**
 * Tells from transaction ids whether every writer of the data file holds our lock. A commit holds the lock while it
 * writes its id into the data file, waits for the disk, and writes the id into the lock file, from which views and
 * write transactions take theirs:
 *
 *     lock … stored = n … the disk … shared = n … unlock
 *
 * So `stored`, which is read from the data file, is equal to `shared`, which is read from the lock file, or one more;
 * and the holder of the lock finds both equal. A process that has another lock file, or none, raises `stored` alone.
 * A data file that is overwritten by an older one lowers it, which no commit does.
 *
 * Not noticed: two commits under two locks that overlap and have the same id. The next commit shows it.
 * Source: mdb_txn_renew0 and mdb_env_write_meta in LMDB's mdb.c.
 */
import { LockBypassed, Replaced } from "../../../../services/Lmdb.ts"

export type LockProblem = LockBypassed | Replaced

const bypassed = (stored: bigint, shared: bigint): LockBypassed =>
  new LockBypassed({ detail: `the last transaction in the data file is ${stored}, that of the lock file is ${shared}` })

const wentBack = (stored: bigint, shared: bigint): Replaced =>
  new Replaced({ detail: `its last transaction went back from ${shared} to ${stored}` })

/** `storedBefore` was read before the view with the id `shared` began, `storedAfter` after that. */
export const problemOfView = (storedBefore: bigint, shared: bigint, storedAfter: bigint): LockProblem | undefined => {
  if (storedAfter < shared) return wentBack(storedAfter, shared)
  return storedBefore > shared + 1n ? bypassed(storedBefore, shared) : undefined
}

/** `id` is that of an open write transaction, which is `shared` + 1; `stored` was read while it held the lock. */
export const problemOfWrite = (id: bigint, stored: bigint): LockProblem | undefined => {
  if (stored === id - 1n) return undefined
  return stored < id ? wentBack(stored, id - 1n) : bypassed(stored, id - 1n)
}
