/**
 * Checks that all processes that open this data file use the same lock file. LMDB derives the name of the lock file
 * from the path by which the data file was opened. A symbolic link, a hard link or a mount of the single file leads to
 * a different lock file than the one beside the data file, and two writers would each hold a lock of their own. A
 * directory may be reached by any path, because both files are in it.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- LMDB itself is synchronous, and what it is told must be true at that moment
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- paths of this machine, without a service
import * as path from "node:path"
import { LmdbError, type LmdbOptions, UnsafePath } from "../../../../services/Lmdb.ts"
import { dataFile, lockFile } from "../DataFile.ts"

/** Linux's limit: the system refuses longer chains, too. */
const linksMax = 40

const targetOf = (file: string): string | undefined => {
  try {
    const text = fs.readlinkSync(file)
    // Resolves the directory as the system does: ".." is the parent of the directory that a link leads to.
    const directory = fs.realpathSync.native(
      path.isAbsolute(text) ? path.dirname(text) : `${path.dirname(file)}/${path.dirname(text)}`
    )
    return path.join(directory, path.basename(text))
  } catch {
    return undefined
  }
}

/**
 * Returns the paths that a data file's symbolic link leads to, ending with the file itself. Empty when it is not a
 * link.
 */
export const targetsOf = (file: string): ReadonlyArray<string> => {
  const targets: Array<string> = []
  for (let next = targetOf(file); next !== undefined && targets.length < linksMax; next = targetOf(next))
    targets.push(next)
  return targets
}

/**
 * Returns the lock files that LMDB uses for a data file at this path: beside a single file, or in the directory of
 * data.mdb.
 */
export const lockFilesOf = (file: string): ReadonlyArray<string> =>
  path.basename(file) === "data.mdb" ? [`${file}-lock`, path.join(path.dirname(file), "lock.mdb")] : [`${file}-lock`]

const identityOf = (file: string): string | undefined => {
  try {
    const { dev, ino } = fs.statSync(file, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

/** Returns an existing lock file of one of the paths that is not ours. */
const otherLockFile = (files: ReadonlyArray<string>, own: string): string | undefined => {
  const identity = identityOf(own)
  return files.flatMap(lockFilesOf).find((other) => {
    const found = other === own ? undefined : identityOf(other)
    return found !== undefined && found !== identity
  })
}

const lockFileProblem = (options: LmdbOptions): string | undefined => {
  const file = dataFile(options)
  const targets = targetsOf(file)
  const own = lockFile(options)
  const other = otherLockFile([file, ...targets], own)
  if (other === undefined) return undefined
  const link = targets.length === 0 ? "" : `${file} is a symbolic link to ${targets.at(-1)}, and `
  return (
    `${link}the lock file of this process is ${own}, but there is ${other}, too: set path and options.no_subdir to what the application ` +
    `opens. If that is what they are, remove ${other} while no process has the LMDB open`
  )
}

const hardLinkProblem = (file: string): string | undefined => {
  const found = fs.statSync(file, { throwIfNoEntry: false })
  const links = found?.isFile() === true ? found.nlink : 1
  return links <= 1
    ? undefined
    : `${file} has ${links} names (hard links): remove the others. Copies that are not links do no harm`
}

/**
 * Returns the mount points from the fifth field, in which blanks and similar characters are written as three octal
 * digits.
 */
const mountPoints = (): ReadonlySet<string> => {
  try {
    const lines = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n")
    return new Set(
      lines.map((line) =>
        (line.split(" ")[4] ?? "").replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)))
      )
    )
  } catch {
    // Outside Linux, a file cannot be a mount point.
    return new Set()
  }
}

const realPathOf = (file: string): string | undefined => {
  try {
    return fs.realpathSync(file)
  } catch {
    return undefined
  }
}

const mountProblem = (file: string): string | undefined => {
  const real = realPathOf(file)
  if (real === undefined || !mountPoints().has(real)) return undefined
  return `${real} is a file that is mounted by itself: mount its directory instead`
}

/** Throws when there may be two locks. Must be called before LMDB opens the file, which creates a lock file. */
export const requireOneLock = (options: LmdbOptions): void => {
  const file = dataFile(options)
  const detail = lockFileProblem(options) ?? hardLinkProblem(file) ?? mountProblem(file)
  if (detail !== undefined) throw new LmdbError({ path: file, reason: new UnsafePath({ detail }) })
}

/** Returns a warning for a path that is safe only if every process uses it. */
export const warningOf = (options: LmdbOptions): string | undefined => {
  const file = dataFile(options)
  const target = targetsOf(file).at(-1)
  if (target === undefined) return undefined
  return (
    `LMDB ${file}: it is a symbolic link to ${target}: this is safe only if the application opens the link, too, since the lock file is ` +
    `${lockFile(options)}. Better give both the path of the file, or link its directory`
  )
}

/** Names the lock file that the other process probably uses, when it cannot be determined. */
export const guessOf = (file: string): string => {
  const target = targetsOf(file).at(-1)
  const path = target === undefined ? "another path of the data file" : lockFilesOf(target).join(" or ")
  return `that of the other process may be that of ${path}, or it has none (MDB_NOLOCK)`
}
