/**
 * Finds the processes that have an LMDB open (Linux, /proc): by their descriptors of its two files, and by the locks on
 * its lock file, which the system lists for processes of other users as well. Only `stat` is used on the lock file.
 *
 * Processes of another host, or in another PID namespace, are not found.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- /proc, in one go
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- pure
import * as path from "node:path"

interface Identity {
  readonly dev: bigint
  readonly ino: bigint
}

const identityOf = (file: string): Identity | undefined => {
  try {
    const found = fs.statSync(file, { bigint: true, throwIfNoEntry: false })
    return found === undefined ? undefined : { dev: found.dev, ino: found.ino }
  } catch {
    // The process has ended, or we may not inspect it.
    return undefined
  }
}

const identitiesOf = (files: ReadonlyArray<string>) => files.map(identityOf).filter((found) => found !== undefined)

const listed = (directory: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(directory)
  } catch {
    return []
  }
}

const isAnyOf = (identities: ReadonlyArray<Identity>, { dev, ino }: Identity): boolean =>
  identities.some((one) => one.ino === ino && one.dev === dev)

const hasDescriptor = (pid: string, identities: ReadonlyArray<Identity>): boolean =>
  listed(`/proc/${pid}/fd`).some((descriptor) => {
    const found = identityOf(`/proc/${pid}/fd/${descriptor}`)
    return found !== undefined && isAnyOf(identities, found)
  })

/** Matches `1: POSIX  ADVISORY  READ 1234 08:01:131090 0 0`. */
const lock = /^\d+: (?:-> )?\S+ +\S+ +\S+ +(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /gm

/** Splits the number of a device as in stat(2): 12 bits of the major and 20 of the minor number, in four pieces. */
const majorOf = (dev: bigint): number => Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn))
const minorOf = (dev: bigint): number => Number((dev & 0xffn) | ((dev >> 12n) & ~0xffn))

/** On file systems without a device of their own, the list may show another device than `stat`: the inode decides. */
const isSameDevice = (major: number, minor: number, dev: bigint): boolean =>
  major === 0 || majorOf(dev) === 0 || (major === majorOf(dev) && minor === minorOf(dev))

/** Returns the ids of the processes with a lock on one of the files. */
export const lockersOf = (files: ReadonlyArray<string>): ReadonlyArray<string> => {
  const identities = identitiesOf(files)
  const text = fs.readFileSync("/proc/locks", "utf8")
  const pids = Array.from(text.matchAll(lock))
    .filter(([, , major, minor, inode]) =>
      identities.some(
        ({ dev, ino }) => ino === BigInt(inode!) && isSameDevice(parseInt(major!, 16), parseInt(minor!, 16), dev)
      )
    )
    .map(([, pid]) => pid!)
  // LMDB has one lock that all processes share, and one per process.
  return Array.from(new Set(pids))
}

/** Returns the ids of the processes with a descriptor of one of the files. */
export const openersOf = (files: ReadonlyArray<string>): ReadonlyArray<string> => {
  const identities = identitiesOf(files)
  return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && hasDescriptor(name, identities))
}

const nameOf = (pid: string): string => {
  try {
    return `${pid} (${path.basename(fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0]!)})`
  } catch {
    return pid
  }
}

/** Returns the other processes that have one of the files open, with their names. Throws if /proc cannot be read. */
export const holdersOf = (files: ReadonlyArray<string>): ReadonlyArray<string> => {
  const found = new Set([...openersOf(files), ...lockersOf(files)])
  found.delete(String(process.pid))
  return Array.from(found, nameOf)
}
