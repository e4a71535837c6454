/**
 * Finds processes that have the data file open for writing, but not this process's lock file. That is the common sign
 * of a second path, a removed lock file, and MDB_NOLOCK. LMDB maps both files into memory, so the maps of a process
 * (Linux, /proc) show them, each with the device and inode that it has there. On some file systems these differ from
 * the ones of `stat`.
 *
 * Not found: processes of other users or in other PID namespaces. Their transaction ids reveal them later: see
 * CommitIds.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous, as LMDB is: nothing may be written before this is done
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- paths of this machine, without a service
import * as path from "node:path"

/** One mapped file of a process: `device inode`, and its path there. */
interface Mapped {
  readonly file: string
  readonly path: string
}

/** LMDB maps its files as shared, in contrast to program text, libraries and heaps. */
const line = /^\S+ \S{3}s \S+ (\S+ \d+) +(\/.*)$/gm

const deleted = " (deleted)"

/** Matches LMDB's names of lock files. */
const isLockFile = (path: string): boolean => /(-lock|\/lock\.mdb)$/.test(path.replace(deleted, ""))

const mapsOf = (pid: string): ReadonlyArray<Mapped> => {
  try {
    return Array.from(fs.readFileSync(`/proc/${pid}/maps`, "utf8").matchAll(line), ([, file, path]) => ({
      file: file!,
      path: path!
    }))
  } catch {
    // The process has ended, or we may not inspect it.
    return []
  }
}

type Processes = ReadonlyArray<readonly [pid: string, maps: ReadonlyArray<Mapped>]>

const allProcesses = (): Processes =>
  fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => [pid, mapsOf(pid)] as const)
    .filter(([, maps]) => maps.length > 0)

/** True for O_WRONLY or O_RDWR in the flags of a descriptor. */
const isWriting = (pid: string, descriptor: string): boolean =>
  (parseInt(/^flags:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, "utf8"))?.[1] ?? "0", 8) &
    3) !==
  0

const hasOpenForWriting = (pid: string, dataFile: string): boolean => {
  try {
    const data = fs.statSync(dataFile, { bigint: true })
    return fs.readdirSync(`/proc/${pid}/fd`).some((descriptor) => {
      const found = fs.statSync(`/proc/${pid}/fd/${descriptor}`, { bigint: true, throwIfNoEntry: false })
      return found !== undefined && found.dev === data.dev && found.ino === data.ino && isWriting(pid, descriptor)
    })
  } catch {
    return false
  }
}

const nameOf = (pid: string): string => {
  try {
    return `${pid} (${path.basename(fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0]!)})`
  } catch {
    return pid
  }
}

/** Returns the data file from which LMDB derives the name of a lock file. */
const dataFileOf = (lockFile: string): string =>
  lockFile
    .replace(deleted, "")
    .replace(/-lock$/, "")
    .replace(/\/lock\.mdb$/, "/data.mdb")

/** Leaves out the lock files of other data files that the process has open. */
const lockFilesOf = (maps: ReadonlyArray<Mapped>, data: string): ReadonlyArray<string> => {
  const others = new Set(maps.filter(({ file }) => file !== data).map(({ path }) => path))
  return maps.map(({ path }) => path).filter((path) => isLockFile(path) && !others.has(dataFileOf(path)))
}

const describe = (pid: string, maps: ReadonlyArray<Mapped>, data: string): string => {
  const lockFiles = lockFilesOf(maps, data)
  return lockFiles.length === 0
    ? `process ${nameOf(pid)} has none (MDB_NOLOCK)`
    : `that of process ${nameOf(pid)} is ${lockFiles.slice(0, 3).join(" or ")}`
}

const search = (processes: Processes, dataFile: string, lockFile: string): string | undefined => {
  const own = new Map(mapsOf("self").map(({ file, path }) => [path, file]))
  const data = own.get(fs.realpathSync.native(dataFile))
  const lock = own.get(fs.realpathSync.native(lockFile))
  if (data === undefined || lock === undefined) return undefined
  const isOther = (maps: ReadonlyArray<Mapped>) =>
    maps.some(({ file }) => file === data) && maps.every(({ file }) => file !== lock)
  for (const [pid, maps] of processes) {
    if (!isOther(maps)) continue
    // Read again, because the process may just have been opening or closing the file.
    const now = mapsOf(pid)
    if (isOther(now) && hasOpenForWriting(pid, dataFile)) return describe(pid, now, data)
  }
  return undefined
}

/** Milliseconds. Databases that are opened one after the other share one scan of the processes. */
const freshMillis = 500

let seen: { readonly since: number; readonly processes: Processes } | undefined

const seenProcesses = (): Processes => {
  if (seen === undefined || performance.now() - seen.since > freshMillis)
    seen = { since: performance.now(), processes: allProcesses() }
  return seen.processes
}

const findIn = (processes: () => Processes, dataFile: string, lockFile: string): string | undefined => {
  if (process.platform !== "linux") return undefined
  try {
    return search(processes(), dataFile, lockFile)
  } catch {
    // There is no /proc, or the files were removed.
    return undefined
  }
}

/** Describes the first process found, for the message. This process must have both files open. */
export const find = (dataFile: string, lockFile: string): string | undefined => findIn(allProcesses, dataFile, lockFile)

/** The same for the start of the daemon, once per database. A process that starts at the same time may be missed. */
export const findAtStart = (dataFile: string, lockFile: string): string | undefined =>
  findIn(seenProcesses, dataFile, lockFile)
