/**
 * Converts what the package throws to LmdbError: LMDB's negative codes, positive system codes, and errors of the
 * package without a code.
 */
import * as os from "node:os"
import {
  DbiMissing,
  KeysNotInOrder,
  KeyTooLong,
  LmdbError,
  LmdbFailure,
  MapFull,
  MapResized,
  NotLmdb,
  PermissionDenied,
  ReadersFull
} from "../../../services/Lmdb.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { hexOf } from "../../../domain/bytes/Hex.ts"

/** Source: lmdb.h. */
const codes = {
  invalid: -30_793,
  mapFull: -30_792,
  dbsFull: -30_791,
  readersFull: -30_790,
  mapResized: -30_785,
  incompatible: -30_784,
  versionMismatch: -30_794
} as const

const denied: ReadonlySet<number> = new Set([
  os.constants.errno.EACCES,
  os.constants.errno.EPERM,
  os.constants.errno.EROFS
])

const codeOf = (error: unknown): number | undefined =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "number"
    ? error.code
    : undefined

const systemCodes = new Map(Object.entries(os.constants.errno).map(([name, code]) => [code, name]))

/** Codes with which a write to a full disk fails. LMDB reports EIO when the system wrote less than was asked for. */
const diskCodes: ReadonlySet<string> = new Set(["EIO", "ENOSPC", "EDQUOT"])

/** True when the root entry is not a DBI, or is a DBI with flags other than the handle's. */
export const isIncompatible = (error: unknown): boolean => codeOf(error) === codes.incompatible

/** Facts for the messages about a full map or table. */
export interface Facts {
  readonly path: string
  readonly maxDbs: number
  readonly pageSize: number
  readonly maxReaders: () => number
  readonly mapSize: () => number
  readonly used: () => number
  /** True when another process has stored a larger map size than the one in use. */
  readonly enlarged: () => boolean
}

const mapFull = (facts: Facts, bytes: number): LmdbError["reason"] => {
  if (facts.enlarged()) return new MapResized()
  const mapSize = facts.mapSize()
  const pages = Math.max(1, Math.ceil(bytes / facts.pageSize))
  return new MapFull({ mapSize, used: facts.used(), needed: mapSize + pages * facts.pageSize })
}

const failure = (facts: Facts, code: number | undefined, error: unknown): LmdbFailure => {
  const message = error instanceof Error ? error.message : String(error)
  if (code === codes.dbsFull) {
    return new LmdbFailure({
      code: "MDB_DBS_FULL",
      detail: `more than ${facts.maxDbs} DBIs: raise options.max_dbs, and restart`
    })
  }
  if (code === undefined) return new LmdbFailure({ code: "unknown", detail: message })
  // LMDB's own messages begin with the name of the code.
  const named = /^(MDB_\w+): (.*)/.exec(message)
  if (named !== null) return new LmdbFailure({ code: named[1]!, detail: named[2]! })
  const name = systemCodes.get(code) ?? String(code)
  const advice = diskCodes.has(name)
    ? ". If the disk is full, free space there and start again; if not, the system's log says what the disk has"
    : ""
  return new LmdbFailure({ code: name, detail: `${message}${advice}` })
}

/** Converts an error. `bytes` is the size of the value that was being written, if any. */
export const fromNative = (facts: Facts, error: unknown, bytes = 0): LmdbError => {
  if (error instanceof LmdbError) return error
  if (error instanceof KeysNotInOrder) return new LmdbError({ path: facts.path, reason: error })
  const code = codeOf(error)
  const reason = (): LmdbError["reason"] => {
    if (code === codes.mapFull) return mapFull(facts, bytes)
    if (code === codes.readersFull) return new ReadersFull({ maximum: facts.maxReaders() })
    if (code === codes.mapResized) return new MapResized()
    if (code === codes.invalid || code === codes.versionMismatch) return new NotLmdb({ detail: String(error) })
    if (code !== undefined && denied.has(code)) return new PermissionDenied({ detail: String(error) })
    return failure(facts, code, error)
  }
  return new LmdbError({ path: facts.path, reason: reason() })
}

/**
 * Returns why a write transaction was not begun. The package does not report it, only that there is no transaction,
 * whose id is 0.
 */
export const beginFailed = (facts: Facts): LmdbError =>
  facts.used() > facts.mapSize()
    ? new LmdbError({ path: facts.path, reason: new MapResized() })
    : failed(facts.path, "MDB_PANIC", "a write transaction could not be begun after an earlier fatal error: restart")

export const dbiMissing = (path: string, dbi: DbiName.DbiName): LmdbError =>
  new LmdbError({ path, reason: new DbiMissing({ dbi: DbiName.display(dbi) }) })

export const failed = (path: string, code: string, detail: string): LmdbError =>
  new LmdbError({ path, reason: new LmdbFailure({ code, detail }) })

/** The key is shown in hexadecimal, shortened to fit into a log line. */
export const keyTooLong = (
  path: string,
  dbi: DbiName.DbiName,
  key: Uint8Array,
  start: number,
  end: number
): LmdbError =>
  new LmdbError({
    path,
    reason: new KeyTooLong({
      dbi: DbiName.display(dbi),
      key: hexOf(key, start, Math.min(end, start + 600))
    })
  })
