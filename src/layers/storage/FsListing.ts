/**
 * Lists the objects of a directory. Reading the names of a directory is cheap, but a `stat` of each file is not: at one
 * poll per second, 20,000 objects took half a core. The results are therefore cached, and a scan looks at few files.
 *
 *     each scan      reads all names: an object that comes or goes is seen by the next listing
 *     looks at       names that are new, twice, and until two looks agree: they may still be written; those that this process has stored or deleted;
 *                    and the `rechecksMax` objects that were looked at longest ago
 *     all of them    when the directory has changed but none of its names: an object has been replaced
 *
 * Guarantees: the next listing shows what this process has stored and deleted. An object that another process replaces
 * or rewrites under its name is seen by the next listing if there are at most `rechecksMax` objects, or if nothing else
 * changes in the directory meanwhile; in any case it is seen after `objects / rechecksMax` scans. None of this relies
 * on the timestamps of directories, which some network file systems do not maintain.
 *
 * All prefixes share a scan, so that many databases in one bucket cost little more than one. In a directory of more
 * than 1,000 names, a scan is reused for 10 µs per name, ten times as long as it takes. A listing that equals the
 * previous one is the same array.
 */
import { ByteSize, Clock, Effect, type FileSystem, Option, Semaphore } from "effect"
import type { PlatformError } from "effect/PlatformError"
import type { StoredObject } from "../../services/Storage.ts"
import { sortByName } from "./Listing.ts"

/** Number of known objects that a scan checks again. They take 4 ms of a core. */
const rechecksMax = 256

/** Number of files that are checked concurrently, which is the number of libuv's threads. */
const looksAtOnce = 4

const reusableNamesMin = 1_000
const reuseNanosPerName = 10_000n

/** True for names of objects. Other files in the directory are never touched. */
export const isObjectName = (name: string): boolean =>
  name !== "" && !name.startsWith(".") && !name.endsWith(".tmp") && !name.includes("/") && !name.includes("\0")

/** Looks at a file now. Returns undefined if it does not exist or is not a regular file. */
export const lookAt = (
  fs: FileSystem.FileSystem,
  root: string,
  name: string
): Effect.Effect<StoredObject | undefined, PlatformError> =>
  fs.lstat(`${root}/${name}`).pipe(
    Effect.map((info): StoredObject | undefined => {
      if (info.type !== "File") return undefined
      const time = Option.match(info.mtime, { onNone: () => 0, onSome: (date) => date.getTime() })
      return { name, size: ByteSize.toNumberUnsafe(info.size), etag: `${time}-${Option.getOrElse(info.ino, () => 0n)}` }
    }),
    Effect.catchIf(
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.undefined
    )
  )

const isSame = (a: StoredObject | undefined, b: StoredObject | undefined) => a?.size === b?.size && a?.etag === b?.etag

interface Look {
  /** Undefined if the file is not an object. */
  readonly object: StoredObject | undefined
}

interface Scan {
  /** Nanoseconds of the monotonic clock. */
  readonly began: bigint
  /** Modification time of the directory, in milliseconds. */
  readonly mtime: number
  readonly objects: ReadonlyArray<StoredObject>
  /** Cached listings by prefix. */
  readonly parts: Map<string, ReadonlyArray<StoredObject>>
}

export interface FsListing {
  readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<StoredObject>, PlatformError>
  /** Makes the next listing look at the object, because this process has changed it. */
  readonly recheck: (name: string) => void
  /** Reports the result of a look outside of a scan. */
  readonly seen: (name: string, object: StoredObject | undefined) => void
}

interface Directory {
  readonly fs: FileSystem.FileSystem
  readonly root: string
  /** Results for all files in the directory, by name, least recently checked first. */
  readonly looks: Map<string, Look>
  readonly unsettled: Set<string>
  /** Names to check before the next listing. */
  readonly rechecks: Set<string>
  last: Scan | undefined
}

/** Returns the object if it differs from the earlier result. */
const look = Effect.fnUntraced(function* ({ fs, looks, root, unsettled }: Directory, name: string) {
  const found = isObjectName(name) ? yield* lookAt(fs, root, name) : undefined
  const before = looks.get(name)
  const isChanged = !isSame(before?.object, found)
  const isSettled = before !== undefined && !isChanged
  looks.delete(name)
  looks.set(name, isSettled ? before : { object: found })
  if (isSettled) unsettled.delete(name)
  else unsettled.add(name)
  return isChanged ? found : undefined
})

/**
 * Reads the names. Adds the names to check to `due`, and removes the names that have disappeared. Returns the
 * directory's modification time.
 */
const read = Effect.fnUntraced(function* (directory: Directory, due: Set<string>) {
  const { fs, last, looks, root, unsettled } = directory
  const mtime = Option.match((yield* fs.stat(root)).mtime, { onNone: () => 0, onSome: (date) => date.getTime() })
  const names = yield* fs.readDirectory(root)
  const added = names.filter((name) => !looks.has(name))
  const isLess = names.length - added.length < looks.size
  if (isLess) {
    const left = new Set(names)
    for (const known of [looks, unsettled, due])
      for (const name of known.keys()) if (!left.has(name)) known.delete(name)
  }
  for (const name of [...added, ...unsettled]) due.add(name)
  const isReplaced = added.length === 0 && !isLess && mtime !== last?.mtime
  const max = isReplaced ? Infinity : due.size + rechecksMax
  for (const name of looks.keys()) {
    if (due.size >= max) break
    due.add(name)
  }
  return mtime
})

/** Checks `due`, after reading the directory if `isReading`. Without an earlier scan, the list is rebuilt. */
const scan = Effect.fnUntraced(function* (
  directory: Directory,
  due: Set<string>,
  isReading: boolean
): Effect.fn.Return<Scan, PlatformError> {
  const { last, looks, unsettled } = directory
  const now = yield* Clock.monotonicTimeNanos
  const { began, mtime } = last !== undefined && !isReading ? last : { began: now, mtime: yield* read(directory, due) }
  // Results before a failure are kept: the next scan rebuilds the list from them.
  directory.last = undefined
  const found = yield* Effect.forEach(due, (name) => look(directory, name), { concurrency: looksAtOnce })
  if (last === undefined) {
    // Files that existed at the start are considered complete.
    unsettled.clear()
    const objects = Array.from(looks.values(), ({ object }) => object).filter((object) => object !== undefined)
    return { began, mtime, objects: sortByName(objects), parts: new Map() }
  }
  const changed = found.filter((object) => object !== undefined)
  const kept = last.objects.filter((object) => looks.get(object.name)?.object === object)
  if (changed.length === 0 && kept.length === last.objects.length) return { ...last, began, mtime }
  return { began, mtime, objects: sortByName([...kept, ...changed]), parts: new Map() }
})

/** True while the names read by the last scan are recent enough. `asked` is the time when the listing was called. */
const isRecent = ({ looks }: Directory, { began }: Scan, asked: bigint, now: bigint) =>
  began > asked || (looks.size > reusableNamesMin && now - began < BigInt(looks.size) * reuseNanosPerName)

/** Returns the listing for a call at `asked`. Scans run one at a time. */
const scanned = Effect.fnUntraced(function* (directory: Directory, asked: bigint) {
  const { last, rechecks } = directory
  const isReading = last === undefined || !isRecent(directory, last, asked, yield* Clock.monotonicTimeNanos)
  if (!isReading && rechecks.size === 0) return last
  const due = new Set(rechecks)
  // Cleared before anything is read, so that changes by this process during the scan are left for the next one.
  rechecks.clear()
  return (directory.last = yield* Effect.onError(scan(directory, due, isReading), () =>
    Effect.sync(() => due.forEach((name) => rechecks.add(name)))
  ))
})

export const make = Effect.fnUntraced(function* (fs: FileSystem.FileSystem, root: string): Effect.fn.Return<FsListing> {
  const scans = yield* Semaphore.make(1)
  const directory: Directory = {
    fs,
    root,
    looks: new Map(),
    unsettled: new Set(),
    rechecks: new Set(),
    last: undefined
  }
  return {
    list: Effect.fnUntraced(function* (prefix) {
      const asked = yield* Clock.monotonicTimeNanos
      const { objects, parts } = yield* scans.withPermits(1)(scanned(directory, asked))
      const part = parts.get(prefix) ?? objects.filter(({ name }) => name.startsWith(prefix))
      parts.set(prefix, part)
      return part
    }),
    recheck: (name) => void directory.rechecks.add(name),
    seen: (name, object) => {
      if (!isSame(directory.looks.get(name)?.object, object)) directory.rechecks.add(name)
    }
  }
})
