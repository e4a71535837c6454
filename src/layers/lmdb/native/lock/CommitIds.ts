/**
 * Detects from transaction ids whether every writer of the data file holds our lock. A commit holds the lock while it
 * writes its id to the data file, waits for the disk, and writes the id to the lock file, from which views and write
 * transactions take their ids:
 *
 *     lock … stored = n … the disk … shared = n … unlock
 *
 * So `stored`, read from the data file, equals `shared`, read from the lock file, or is greater by one, and the holder
 * of the lock finds both equal. A process with another lock file, or with none, raises only `stored`. Overwriting the
 * data file with an older one lowers `stored`, which no commit does.
 *
 * Two overlapping commits under two locks with the same id are not detected; the next commit reveals them. Source:
 * mdb_txn_renew0 and mdb_env_write_meta in LMDB's mdb.c.
 */
import { LockBypassed, Replaced } from "../../../../services/Lmdb.ts"

export type LockProblem = LockBypassed | Replaced

const bypassed = (stored: bigint, shared: bigint): LockBypassed =>
  new LockBypassed({ detail: `the last transaction in the data file is ${stored}, that of the lock file is ${shared}` })

const wentBack = (stored: bigint, shared: bigint): Replaced =>
  new Replaced({ detail: `its last transaction went back from ${shared} to ${stored}` })

/** `storedBefore` was read before the view with the id `shared` began, and `storedAfter` after that. */
export const problemOfView = (storedBefore: bigint, shared: bigint, storedAfter: bigint): LockProblem | undefined => {
  if (storedAfter < shared) return wentBack(storedAfter, shared)
  return storedBefore > shared + 1n ? bypassed(storedBefore, shared) : undefined
}

/** `id` belongs to an open write transaction and equals `shared` + 1. `stored` was read while it held the lock. */
export const problemOfWrite = (id: bigint, stored: bigint): LockProblem | undefined => {
  if (stored === id - 1n) return undefined
  return stored < id ? wentBack(stored, id - 1n) : bypassed(stored, id - 1n)
}
