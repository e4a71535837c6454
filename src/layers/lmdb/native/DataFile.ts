/**
 * The data file as a file: its path, its identity, and what its two meta pages say. The lock file is never opened, read
 * or copied here: closing any descriptor of it would drop the locks that LMDB holds in this process.
 *
 * Layout of a v1 data file of a 64-bit little-endian machine (source: LMDB's mdb.c): pages 0 and 1 are meta pages. Each
 * has a page header of 16 bytes with flags u16 at 10 (0x08: a meta page), then magic u32, version u32, address u64, map
 * size u64, the records of the free list and of the root DBI (48 bytes each; the first u32 of the former is the page
 * size), last page u64, transaction id u64. The meta page with the higher id is the valid one.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- LMDB itself is synchronous, and what it is told must be true at that moment
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- paths of this machine, without a service
import * as path from "node:path"
import { Missing, LmdbError, type LmdbOptions, NotLmdb, PermissionDenied } from "../../../services/Lmdb.ts"
import * as Directories from "../../process/Directories.ts"
import { failed } from "./NativeErrors.ts"

/** Returns `device:inode`, which is equal for two paths of one file, and differs for a file that replaced it. */
export type Identity = string

export interface Meta {
  readonly mapSize: number
  readonly pageSize: number
  /** Number of pages of the free list and of the root DBI themselves. */
  readonly ownPages: number
}

const magic = 0xbeef_c0de
const formatVersion = 1
const headerBytes = 16
const metaFlag = 0x08
/** Number of bytes from the start of the page to the end of the meta data. */
const metaBytes = 152

/** Number of bytes of the largest pages that LMDB 0.9 has (MAX_PAGESIZE): offsets in a page have 16 bits. */
const pageSizeMax = 32_768

const mapSizeAt = 32
const freeRecord = 40
const rootRecord = 88
/** The root page of an empty DBI. */
const noRoot = 0xffff_ffff_ffff_ffffn

export const dataFile = (options: LmdbOptions): string =>
  path.resolve(options.noSubdir ? options.path : path.join(options.path, "data.mdb"))

export const lockFile = (options: LmdbOptions): string =>
  options.noSubdir ? `${dataFile(options)}-lock` : path.join(path.dirname(dataFile(options)), "lock.mdb")

const systemCode = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "unknown"

const denied: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS"])

const notLmdb = (file: string, detail: string): LmdbError =>
  new LmdbError({ path: file, reason: new NotLmdb({ detail }) })

/** Converts an error of the file system into one of the contract. */
export const fromSystem = (file: string, error: unknown): LmdbError => {
  if (error instanceof LmdbError) return error
  const code = systemCode(error)
  if (code === "ENOENT") return new LmdbError({ path: file, reason: new Missing() })
  // The path leads to a file although `noSubdir` is false.
  if (code === "ENOTDIR") return notLmdb(file, `${path.dirname(file)} is no directory`)
  if (denied.has(code)) return new LmdbError({ path: file, reason: new PermissionDenied({ detail: String(error) }) })
  return failed(file, code, String(error))
}

/** Returns the state of the data file, or undefined if it is missing or not accessible. Opening it reports why. */
export const identityOf = (options: LmdbOptions): Identity | undefined => {
  try {
    const { dev, ino } = fs.statSync(dataFile(options), { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

/** Returns the number of branch, leaf and overflow pages of the tree whose record is at `offset`. */
export const pagesOf = (view: DataView, offset: number): number =>
  Number(
    view.getBigUint64(offset + 8, true) + view.getBigUint64(offset + 16, true) + view.getBigUint64(offset + 24, true)
  )

const readPage = (file: string, descriptor: number, position: number): DataView => {
  const bytes = new Uint8Array(metaBytes)
  const size = fs.readSync(descriptor, bytes, 0, metaBytes, position)
  if (size < metaBytes) throw notLmdb(file, `it ends after ${position + size} bytes`)
  const view = new DataView(bytes.buffer)
  const found = view.getUint32(headerBytes, true)
  if (found !== magic) throw notLmdb(file, otherFormat(view))
  const version = view.getUint32(headerBytes + 4, true)
  if (version !== formatVersion) throw notLmdb(file, `data format version ${version}`)
  if ((view.getUint16(10, true) & metaFlag) === 0) throw notLmdb(file, "a meta page is damaged")
  return view
}

/** Recognizes data files of other builds of LMDB: their magic number is elsewhere, or in the other byte order. */
const otherFormat = (view: DataView): string => {
  if (view.getUint32(12, true) === magic) return "written by a 32-bit machine"
  if (view.getUint32(headerBytes, false) === magic) return "written by a big-endian machine"
  if (view.getUint32(24, true) === magic) return `data format version ${view.getUint32(28, true)}`
  return "there is no LMDB header at its beginning"
}

/**
 * Checks that the file is as large as its meta page says. LMDB maps the file, and touching a page beyond its end would
 * kill the process.
 */
const requireRoots = (file: string, view: DataView, pageSize: number, fileSize: number): void => {
  for (const record of [freeRecord, rootRecord]) {
    const page = view.getBigUint64(record + 40, true)
    if (page !== noRoot && (Number(page) + 1) * pageSize > fileSize) {
      throw notLmdb(file, `it is truncated: ${fileSize} bytes, but page ${page} is in use`)
    }
  }
}

const readMetaOf = (file: string, descriptor: number): Meta | undefined => {
  const stat = fs.fstatSync(descriptor)
  if (!stat.isFile()) throw notLmdb(file, "it is not a regular file")
  if (stat.size === 0) return undefined
  const first = readPage(file, descriptor, 0)
  const pageSize = first.getUint32(freeRecord, true)
  if (pageSize < 512 || pageSize > pageSizeMax || (pageSize & (pageSize - 1)) !== 0)
    throw notLmdb(file, `a page size of ${pageSize} bytes`)
  const second = readPage(file, descriptor, pageSize)
  const current = first.getBigUint64(144, true) >= second.getBigUint64(144, true) ? first : second
  // The size is read after the meta page, because the application may be writing: it is never smaller than the meta
  // page requires.
  requireRoots(file, current, pageSize, fs.fstatSync(descriptor).size)
  return {
    mapSize: Number(current.getBigUint64(mapSizeAt, true)),
    pageSize,
    ownPages: 2 + pagesOf(current, freeRecord) + pagesOf(current, rootRecord)
  }
}

/**
 * Reads the valid meta page. Returns undefined for an empty file. Throws LmdbError if the file does not exist, or is
 * not an LMDB data file that this build can use.
 */
export const readMeta = (file: string): Meta | undefined => {
  try {
    // Opened without blocking, because the path may be that of a pipe.
    const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    try {
      return readMetaOf(file, descriptor)
    } finally {
      fs.closeSync(descriptor)
    }
  } catch (error) {
    throw fromSystem(file, error)
  }
}

/**
 * Writes the map size into both meta pages of a file that no process has open. LMDB itself can only raise it.
 */
export const writeMapSize = (file: string, pageSize: number, mapSize: number): void => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(mapSize), true)
  const descriptor = fs.openSync(file, "r+")
  try {
    for (const page of [0, 1]) fs.writeSync(descriptor, bytes, 0, bytes.length, page * pageSize + mapSizeAt)
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Returns why LMDB may have been refused access, with the name of the file. Only the data file can be tested. */
export const deniedFile = (options: LmdbOptions): string => {
  const file = dataFile(options)
  try {
    fs.closeSync(fs.openSync(file, "r+"))
    return lockFile(options)
  } catch {
    return file
  }
}

/** Creates the directory of the data file, with its parents. */
export const makeDirectory = (options: LmdbOptions): void => {
  const directory = path.dirname(dataFile(options))
  try {
    Directories.makeSync(directory, options.dirMask)
  } catch (error) {
    throw fromSystem(directory, error)
  }
}
