/**
 * Whether all who open this data file get the same lock file. LMDB names it after the path by which the data file was
 * opened: beside a symbolic link, a hard link or a file that is mounted by itself there is another one than beside the
 * file, and two writers would each hold a lock of their own. A directory may be reached in any way: both files are in
 * it.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- LMDB itself is synchronous, and what it is told must be true at that moment
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- paths of this machine, without a service
import * as path from "node:path"
import { LmdbError, type LmdbOptions, UnsafePath } from "../../../../services/Lmdb.ts"
import { dataFile, lockFile } from "../DataFile.ts"

/** As Linux: a chain that is longer is refused by the system, too. */
const linksMax = 40

const targetOf = (file: string): string | undefined => {
  try {
    const text = fs.readlinkSync(file)
    // As the system does it: ".." is the parent of where a linked directory leads to.
    const directory = fs.realpathSync.native(
      path.isAbsolute(text) ? path.dirname(text) : `${path.dirname(file)}/${path.dirname(text)}`
    )
    return path.join(directory, path.basename(text))
  } catch {
    return undefined
  }
}

/** The paths that a data file's symbolic link leads to, the file itself last; none when it is no link. */
export const targetsOf = (file: string): ReadonlyArray<string> => {
  const targets: Array<string> = []
  for (let next = targetOf(file); next !== undefined && targets.length < linksMax; next = targetOf(next))
    targets.push(next)
  return targets
}

/** Those that LMDB makes for a data file at this path: beside a single file, or in the directory of data.mdb. */
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

/** A lock file of one of the paths that is there and is not ours. */
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

/** Mount points, from the fifth field: blanks and the like are three octal digits there. */
const mountPoints = (): ReadonlySet<string> => {
  try {
    const lines = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n")
    return new Set(
      lines.map((line) =>
        (line.split(" ")[4] ?? "").replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)))
      )
    )
  } catch {
    // Not Linux: a file cannot be mounted there.
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

/** Throws when there may be two locks. To be asked before LMDB opens the file, which makes a lock file. */
export const requireOneLock = (options: LmdbOptions): void => {
  const file = dataFile(options)
  const detail = lockFileProblem(options) ?? hardLinkProblem(file) ?? mountProblem(file)
  if (detail !== undefined) throw new LmdbError({ path: file, reason: new UnsafePath({ detail }) })
}

/** What is to be said of a path that is safe only if everybody uses it. */
export const warningOf = (options: LmdbOptions): string | undefined => {
  const file = dataFile(options)
  const target = targetsOf(file).at(-1)
  if (target === undefined) return undefined
  return (
    `LMDB ${file}: it is a symbolic link to ${target}: this is safe only if the application opens the link, too, since the lock file is ` +
    `${lockFile(options)}. Better give both the path of the file, or link its directory`
  )
}

/** Which lock the other process may have, where it cannot be seen. */
export const guessOf = (file: string): string => {
  const target = targetsOf(file).at(-1)
  const path = target === undefined ? "another path of the data file" : lockFilesOf(target).join(" or ")
  return `that of the other process may be that of ${path}, or it has none (MDB_NOLOCK)`
}
