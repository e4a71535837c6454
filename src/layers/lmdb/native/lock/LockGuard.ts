/**
 * Guards an open environment: its files must stay the ones that were opened, and no process may write without our lock.
 * A violation ends the daemon, because an error thrown here is never retried.
 *
 * A single commit made without the lock looks like a commit that waits for a slow disk, so the guard only notes it.
 * When the commit stays unfinished, `isCommitOverdue` requests a write transaction, and `requireAlone` decides in it.
 */
import { LmdbError, LockBypassed } from "../../../../services/Lmdb.ts"
import * as CommitIds from "./CommitIds.ts"
import type { OpenFiles } from "./OpenFiles.ts"
import * as ProcessMaps from "./ProcessMaps.ts"
import * as PathCheck from "./PathCheck.ts"

/** Commits on a healthy disk take less time, so that no poll takes the application's lock without a reason. */
const unfinishedMillis = 1_000

export class LockGuard {
  readonly #files: OpenFiles
  readonly #readStored: () => bigint
  /** A commit that no view shows yet, and the time when it was first seen, in milliseconds of `performance.now`. */
  #unfinished: { readonly id: bigint; readonly since: number } | undefined

  /** `readStored` reads the id of the last transaction from the data file: the higher one of its two meta pages. */
  constructor(files: OpenFiles, readStored: () => bigint) {
    this.#files = files
    this.#readStored = readStored
  }

  /** Throws when the data file or the lock file has been replaced, or the data file has shrunk. */
  requireSame(): void {
    this.#files.requireSame()
  }

  /** Returns the id of the last transaction in the data file. */
  stored(): bigint {
    this.requireSame()
    return this.#readStored()
  }

  /** Records that a poll found `stored` in the data file while a view showed `viewed`. */
  note(stored: bigint, viewed: bigint): void {
    if (stored <= viewed) this.#unfinished = undefined
    else if (this.#unfinished?.id !== stored) this.#unfinished = { id: stored, since: performance.now() }
  }

  /** True when a commit has been unfinished for so long that a write transaction should verify it. */
  get isCommitOverdue(): boolean {
    return this.#unfinished !== undefined && performance.now() - this.#unfinished.since >= unfinishedMillis
  }

  /**
   * Returns the reason why a view with the id `viewed` cannot be used. `storedBefore` was read before the view began.
   */
  problemOfView(storedBefore: bigint, viewed: bigint): CommitIds.LockProblem | undefined {
    return CommitIds.problemOfView(storedBefore, viewed, this.#readStored())
  }

  /** Throws when another process has written without the lock. The write transaction with this id holds the lock. */
  requireAlone(id: bigint): void {
    const problem = CommitIds.problemOfWrite(id, this.stored())
    if (problem !== undefined) throw this.errorOf(problem)
  }

  /** Throws when a visible process has the data file open for writing under another lock. */
  requireNoOtherWriter(): void {
    const { dataFile, lockFile } = this.#files
    const found = ProcessMaps.findAtStart(dataFile, lockFile)
    if (found !== undefined) throw this.#bypassed(`the lock file of this process is ${lockFile}, but ${found}`)
  }

  /** Returns the error for a problem, with the names of both lock files as far as they can be determined. */
  errorOf(problem: CommitIds.LockProblem): LmdbError {
    const { dataFile, lockFile } = this.#files
    if (problem._tag === "Replaced") return new LmdbError({ path: dataFile, reason: problem })
    const other = ProcessMaps.find(dataFile, lockFile) ?? PathCheck.guessOf(dataFile)
    return this.#bypassed(`${problem.detail}; the lock file of this process is ${lockFile}, ${other}`)
  }

  #bypassed(detail: string): LmdbError {
    return new LmdbError({ path: this.#files.dataFile, reason: new LockBypassed({ detail }) })
  }
}
