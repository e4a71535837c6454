/**
 * Compares the data file and the lock file of an open environment with the files that are at their paths now. LMDB
 * checks the paths only when it opens them, so it would continue to use a removed file, under a lock that no other
 * process has.
 *
 * Only `stat` is used. The lock file is never opened, because closing any descriptor of it releases the locks that LMDB
 * holds in this process.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- LMDB itself is synchronous, and what it is told must be true at that moment
import * as fs from "node:fs"
import { LmdbError, type LmdbOptions, LockReplaced, Replaced } from "../../../../services/Lmdb.ts"
import { dataFile, type Identity, lockFile } from "../DataFile.ts"

interface Found {
  readonly identity: Identity
  readonly size: bigint
}

const find = (file: string): Found | undefined => {
  try {
    const { dev, ino, size } = fs.statSync(file, { bigint: true })
    return { identity: `${dev}:${ino}`, size }
  } catch {
    return undefined
  }
}

export class OpenFiles {
  readonly dataFile: string
  readonly lockFile: string
  /** Undefined before the file is created. */
  readonly identity: Identity | undefined
  readonly #lock: Identity | undefined
  /** The largest size seen, in bytes. LMDB never shrinks a data file. */
  #size: bigint

  constructor(options: LmdbOptions) {
    this.dataFile = dataFile(options)
    this.lockFile = lockFile(options)
    const data = find(this.dataFile)
    this.identity = data?.identity
    this.#size = data?.size ?? 0n
    this.#lock = find(this.lockFile)?.identity
  }

  get hasLockFile(): boolean {
    return this.#lock !== undefined
  }

  /**
   * Throws when a file was removed or replaced, or when the data file has shrunk. The data file must not be read then,
   * since touching a page beyond its end kills the process.
   */
  requireSame(): void {
    const data = find(this.dataFile)
    if (this.identity !== undefined && data?.identity !== this.identity) throw this.#error(new Replaced({}))
    const size = data?.size ?? 0n
    if (size < this.#size)
      throw this.#error(new Replaced({ detail: `its size went down from ${this.#size} to ${size} bytes` }))
    this.#size = size
    if (this.#lock !== undefined && find(this.lockFile)?.identity !== this.#lock)
      throw this.#error(new LockReplaced({ lockFile: this.lockFile }))
  }

  #error(reason: LmdbError["reason"]): LmdbError {
    return new LmdbError({ path: this.dataFile, reason })
  }
}
