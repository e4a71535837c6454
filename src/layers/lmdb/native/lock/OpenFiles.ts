/**
 * The data file and the lock file of an open environment, held against what is at their paths now. LMDB looks at the
 * paths when it opens them and never again, so it would go on in a file that was removed, under a lock that no other
 * process has.
 *
 * Only `stat` is used: the lock file is never opened, since closing any descriptor of it drops the locks that LMDB
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
  /** Undefined before the file is made. */
  readonly identity: Identity | undefined
  readonly #lock: Identity | undefined
  /** Bytes: the largest size that was seen. LMDB never makes a data file smaller. */
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
   * Throws when one of the files that were there is gone or is another one, or the data file is smaller: it must not be
   * read then, since touching a page beyond its end kills the process.
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
