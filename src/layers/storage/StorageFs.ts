/**
 * `Storage` in a flat directory, which may be shared between hosts.
 *
 * Guarantees: an object whose `store` has succeeded survives a power failure. A temporary file `.<random>.tmp` in the
 * same directory is written, synced and renamed, then the directory is synced. Readers see either the old or the new
 * object as a whole. A `store` that fails before or in the rename leaves the earlier object. One whose directory fails
 * to sync leaves the new object, which a power failure may still replace by the earlier one.
 *
 * The directory is created when the layer is built, unless disabled, and never later, so an unmounted file system is an
 * error and not an empty store. Other files are neither listed nor read: names with `/`, with a leading `.` or ending
 * in `.tmp`, and anything but regular files (links included). FsListing documents how listings show objects that other
 * processes replace, and FsTemporaryFiles what becomes of files that a killed process leaves behind.
 *
 * Each file operation is uninterruptible. An abandoned write would continue in the thread pool after its descriptor was
 * closed, and could hit another file with the same number.
 */
import { ByteSize, Effect, Exit, FileSystem, Layer, Stream } from "effect"
import type { PlatformError } from "effect/PlatformError"
import { releaseBuffer } from "../../domain/bytes/ReleaseBuffer.ts"
import { ObjectNotFound, Refused, type Source, Storage, StorageError, Unavailable } from "../../services/Storage.ts"
import * as Directories from "../process/Directories.ts"
import * as FsListing from "./FsListing.ts"
import * as FsTemporaryFiles from "./FsTemporaryFiles.ts"
import { sized } from "./ExactSize.ts"

const chunkBytes = 262_144

/** Returns the system's code, such as ENOSPC, or Effect's own tag if there is none. */
const codeOf = ({ reason }: PlatformError): string => {
  const cause: unknown = reason.cause
  return typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : reason._tag
}

const advices: Readonly<Record<string, string>> = {
  EACCES: "give this user the permission to read and write there",
  EPERM: "give this user the permission to read and write there",
  EROFS: "the file system is mounted read-only: remount it, or check root_path",
  ENOENT: "the directory is gone: is the file system mounted? Check root_path",
  ENOTDIR: "a part of the path is no directory: check root_path",
  EEXIST: "there is something that is no directory: check root_path",
  EISDIR: "a directory has this object's name: remove it",
  ERR_FS_EISDIR: "a directory has this object's name: remove it",
  ELOOP: "a symbolic link has this object's name, or links go in circles: check root_path",
  ENAMETOOLONG: "the name is too long for this file system: use a shorter instance or database name"
}

const reasonOf = (error: PlatformError): StorageError["reason"] => {
  const code = codeOf(error)
  const cause: unknown = error.reason.cause
  const detail = cause instanceof Error ? cause.message : error.message
  const advice = advices[code]
  if (advice !== undefined) return new Refused({ code, detail, advice })
  const full = code === "ENOSPC" || code === "EDQUOT"
  return new Unavailable({ code, detail: full ? `the disk or the quota is full: free space there: ${detail}` : detail })
}

interface Directory {
  readonly fs: FileSystem.FileSystem
  readonly root: string
  readonly listing: FsListing.FsListing
  /** Runs before a store writes to its temporary file. */
  readonly sweep: (current: FileSystem.File) => Effect.Effect<void>
  readonly fail: (operation: StorageError["operation"], name: string, reason: StorageError["reason"]) => StorageError
}

const list = Effect.fn("StorageFs.list")(
  (directory: Directory, prefix: string) => directory.listing.list(prefix),
  (effect, directory, prefix) => Effect.mapError(effect, (error) => directory.fail("list", prefix, reasonOf(error)))
)

/** Reads to the end of the file and not to its size, so that a file that is still being appended to is detected. */
const load = (directory: Directory, name: string) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const failed = (error: PlatformError) => directory.fail("load", name, reasonOf(error))
      const object = FsListing.isObjectName(name)
        ? yield* Effect.mapError(FsListing.lookAt(directory.fs, directory.root, name), failed)
        : undefined
      directory.listing.seen(name, object)
      // A missing object is reported as such. A missing directory is an outage.
      const vanished = Effect.andThen(
        Effect.mapError(directory.fs.stat(directory.root), failed),
        directory.fail("load", name, new ObjectNotFound())
      )
      if (object === undefined) return yield* vanished
      const file = yield* directory.fs
        .open(`${directory.root}/${name}`, { flag: "r", noFollow: true })
        .pipe(Effect.catch((error) => (codeOf(error) === "ENOENT" ? vanished : failed(error))))
      const size = ByteSize.toNumberUnsafe((yield* Effect.mapError(file.stat, failed)).size)
      const chunks = Stream.unfold(0, (start) => {
        const buffer = new Uint8Array(Math.max(1, Math.min(chunkBytes, size - start)))
        return Effect.uninterruptible(file.read(buffer)).pipe(
          Effect.mapError(failed),
          Effect.map((count) => (count === 0 ? undefined : ([buffer.subarray(0, count), start + count] as const)))
        )
      })
      return sized(size, (reason) => directory.fail("load", name, reason))(chunks)
    })
  )

/** Some network file systems cannot sync a directory. The rename is then as durable as they make it. */
const syncFolder = ({ fs, root }: Directory) =>
  Effect.scoped(Effect.flatMap(fs.open(root, { flag: "r" }), (file) => Effect.uninterruptible(file.sync))).pipe(
    Effect.catchIf(
      (error) => codeOf(error) === "EINVAL" || codeOf(error) === "ENOTSUP",
      () => Effect.void
    )
  )

const store = Effect.fn("StorageFs.store")(function* <E, R>(directory: Directory, name: string, source: Source<E, R>) {
  const { fs, listing, root, sweep } = directory
  const failed = (error: PlatformError) => directory.fail("store", name, reasonOf(error))
  if (!FsListing.isObjectName(name)) {
    const detail = "names with /, a leading . or ending in .tmp are not objects of a directory"
    return yield* directory.fail(
      "store",
      name,
      new Refused({ code: "InvalidName", detail, advice: "check instance and database names" })
    )
  }
  const temporary = `${root}/${yield* FsTemporaryFiles.makeName}`
  yield* Effect.scoped(
    Effect.gen(function* () {
      const file = yield* Effect.acquireRelease(
        Effect.mapError(fs.open(temporary, { flag: "wx" }), failed),
        (_, exit) => (Exit.isSuccess(exit) ? Effect.void : Effect.ignore(fs.remove(temporary, { force: true })))
      )
      yield* sweep(file)
      const bytes = sized(source.size, (reason) => directory.fail("store", name, reason))(source.read(0, source.size))
      yield* Stream.runForEach(bytes, (chunk) =>
        Effect.andThen(
          Effect.mapError(Effect.uninterruptible(file.writeAll(chunk)), failed),
          Effect.sync(() => releaseBuffer(chunk))
        )
      )
      yield* Effect.mapError(Effect.uninterruptible(file.sync), failed)
      yield* Effect.mapError(Effect.uninterruptible(fs.rename(temporary, `${root}/${name}`)), failed)
    })
  ).pipe(Effect.ensuring(Effect.sync(() => listing.recheck(name))))
  // After a failure here the new object is visible but possibly not durable, so the caller stores it again.
  yield* Effect.mapError(syncFolder(directory), failed)
})

const remove = Effect.fn("StorageFs.delete")(
  function* (directory: Directory, name: string) {
    if (!FsListing.isObjectName(name)) return
    yield* Effect.uninterruptible(directory.fs.remove(`${directory.root}/${name}`, { force: true })).pipe(
      Effect.ensuring(Effect.sync(() => directory.listing.recheck(name)))
    )
  },
  (effect, directory, name) => Effect.mapError(effect, (error) => directory.fail("delete", name, reasonOf(error)))
)

export interface StorageFsOptions {
  readonly root_path: string
  /** Creates the directory with its parents; default true. */
  readonly create?: boolean
}

export const layerWith = ({
  create = true,
  root_path: root
}: StorageFsOptions): Layer.Layer<Storage, StorageError, FileSystem.FileSystem> =>
  Layer.effect(
    Storage,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const place = `directory ${root}`
      const directory: Directory = {
        fs,
        root,
        listing: yield* FsListing.make(fs, root),
        sweep: FsTemporaryFiles.makeSweep(fs, root),
        fail: (operation, name, reason) => new StorageError({ operation, place, name, reason })
      }
      if (create)
        yield* Effect.mapError(Directories.make(fs, root, 0o755), (error) =>
          directory.fail("create", "", reasonOf(error))
        )
      return Storage.of({
        place,
        list: (prefix) => list(directory, prefix),
        load: (name) => load(directory, name),
        store: (name, source) => store(directory, name, source),
        delete: (name) => remove(directory, name)
      })
    })
  )
