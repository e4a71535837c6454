/**
 * Lists the objects of a directory. Reading the names of a directory is cheap, looking at each of its files is not:
 * 20,000 objects that nobody has cleaned up took half a core at one poll a second. So what was found out about a file
 * is kept, and a scan looks at few files.
 *
 *     each scan      reads all names: an object that comes or goes is seen by the next listing
 *     looks at       names that are new, twice, and until two looks agree: they may still be written; those that this process has stored or deleted;
 *                    and the `rechecksMax` objects that were looked at longest ago
 *     all of them    when the directory has changed but none of its names: somebody has replaced an object
 *
 * Guarantees: what this process stores and deletes is in the next listing. An object that another process replaces or
 * rewrites under its name is seen by the next listing if there are at most `rechecksMax` objects, or if nothing else
 * changes in the directory meanwhile; in any case after `objects / rechecksMax` scans. None of this relies on the
 * timestamps of directories, which some network file systems do not keep.
 *
 * All prefixes share a scan, so that many databases in one bucket cost little more than one: in a directory of more
 * than 1,000 names a scan is reused for 10 µs a name, ten times as long as it takes. A listing that is like the one
 * before is the same array.
 */
import { ByteSize, Clock, Effect, type FileSystem, Option, Semaphore } from "effect"
import type { PlatformError } from "effect/PlatformError"
import type { StoredObject } from "../../services/Storage.ts"
import { sortByName } from "./Listing.ts"

/** Known objects that a scan looks at again. They take 4 ms of a core. */
const rechecksMax = 256

/** Files that are looked at side by side: as many as libuv has threads. */
const looksAtOnce = 4

const reusableNamesMin = 1_000
const reuseNanosPerName = 10_000n

/** Names of objects. Everything else in the directory is left alone. */
export const isObjectName = (name: string): boolean =>
  name !== "" && !name.startsWith(".") && !name.endsWith(".tmp") && !name.includes("/") && !name.includes("\0")

/** Looks at a file now. Undefined if it is no regular file, or is not there. */
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
  /** Undefined if it is no object. */
  readonly object: StoredObject | undefined
}

interface Scan {
  /** Nanoseconds of the monotonic clock. */
  readonly began: bigint
  /** Of the directory, in milliseconds. */
  readonly mtime: number
  readonly objects: ReadonlyArray<StoredObject>
  /** What was listed of them, by prefix. */
  readonly parts: Map<string, ReadonlyArray<StoredObject>>
}

export interface FsListing {
  readonly list: (prefix: string) => Effect.Effect<ReadonlyArray<StoredObject>, PlatformError>
  /** The next listing looks at the object: this process has changed it. */
  readonly recheck: (name: string) => void
  /** Tells what a look outside of a scan has found. */
  readonly seen: (name: string, object: StoredObject | undefined) => void
}

interface Directory {
  readonly fs: FileSystem.FileSystem
  readonly root: string
  /** Of all that is in it, by name; those that were looked at longest ago first. */
  readonly looks: Map<string, Look>
  readonly unsettled: Set<string>
  /** Names to look at before anything is listed. */
  readonly rechecks: Set<string>
  last: Scan | undefined
}

/** The object if it is another one than before. */
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

/** Reads the names. Adds those to look at to `due`, and removes those that are gone. Returns the directory's mtime. */
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

/** Looks at `due`, and reads the directory before if `isReading`. Without an earlier scan all is put together again. */
const scan = Effect.fnUntraced(function* (
  directory: Directory,
  due: Set<string>,
  isReading: boolean
): Effect.fn.Return<Scan, PlatformError> {
  const { last, looks, unsettled } = directory
  const now = yield* Clock.monotonicTimeNanos
  const { began, mtime } = last !== undefined && !isReading ? last : { began: now, mtime: yield* read(directory, due) }
  // What is found out before a failure is not lost: the next scan puts all together again.
  directory.last = undefined
  const found = yield* Effect.forEach(due, (name) => look(directory, name), { concurrency: looksAtOnce })
  if (last === undefined) {
    // What was there from the start is taken for complete.
    unsettled.clear()
    const objects = Array.from(looks.values(), ({ object }) => object).filter((object) => object !== undefined)
    return { began, mtime, objects: sortByName(objects), parts: new Map() }
  }
  const changed = found.filter((object) => object !== undefined)
  const kept = last.objects.filter((object) => looks.get(object.name)?.object === object)
  if (changed.length === 0 && kept.length === last.objects.length) return { ...last, began, mtime }
  return { began, mtime, objects: sortByName([...kept, ...changed]), parts: new Map() }
})

/** Whether the names read by the last scan still count. `asked`: when the listing was called. */
const isRecent = ({ looks }: Directory, { began }: Scan, asked: bigint, now: bigint) =>
  began > asked || (looks.size > reusableNamesMin && now - began < BigInt(looks.size) * reuseNanosPerName)

/** The listing that was asked for at `asked`. One at a time. */
const scanned = Effect.fnUntraced(function* (directory: Directory, asked: bigint) {
  const { last, rechecks } = directory
  const isReading = last === undefined || !isRecent(directory, last, asked, yield* Clock.monotonicTimeNanos)
  if (!isReading && rechecks.size === 0) return last
  const due = new Set(rechecks)
  // Before anything is read: what this process changes meanwhile is for the next scan.
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
