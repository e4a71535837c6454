/**
 * A data file that is written beside its final path and moved there when it is complete. An existing file stays until
 * then, and there is never a half-written one.
 *
 * Guarantees: an existing file is replaced only if that is allowed, and never while another process of this machine has
 * it open. Content and name are on the disk when `publish` returns. An existing lock file stays, because two lock files
 * would be worse than an old one, which the first process that opens the LMDB resets.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- link, owner and mode, in one go
import * as fs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- paths of this machine, without a service
import * as path from "node:path"
import { Effect, Random, Schema } from "effect"
import type { LmdbOptions } from "../../../services/Lmdb.ts"
import { dataFile, lockFile, makeDirectory, readMeta, writeMapSize } from "../native/DataFile.ts"
import { holdersOf } from "../native/lock/FileHolders.ts"
import { lockFilesOf } from "../native/lock/PathCheck.ts"

export class CannotPlace extends Schema.TaggedError<CannotPlace>()("CannotPlace", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `cannot write ${this.path}: ${this.problem}`
  }
}

export interface NewDataFile {
  /** Path of the new LMDB, which is a single file that does not exist yet. */
  readonly temporary: string
  /** Path of the complete file. */
  readonly place: string
  /** Returns the size of the file so far, in bytes. */
  readonly size: Effect.Effect<number, CannotPlace>
  /** Writes the map size into the file. No process may have it open. */
  readonly setMapSize: (bytes: number) => Effect.Effect<void, CannotPlace>
  /** Moves the complete file to its final path. No process may have it open. */
  readonly publish: Effect.Effect<void, CannotPlace>
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const attempt = <A>(place: string, run: () => A): Effect.Effect<A, CannotPlace> =>
  Effect.try({
    try: run,
    catch: (error) => (error instanceof CannotPlace ? error : new CannotPlace({ path: place, problem: textOf(error) }))
  })

const sync = (file: string): void => {
  const descriptor = fs.openSync(file, "r")
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Throws if the file at the final path must not be replaced. */
const requireFree = (options: LmdbOptions, force: boolean): void => {
  const place = dataFile(options)
  const refuse = (problem: string): never => {
    throw new CannotPlace({ path: place, problem })
  }
  const found = fs.lstatSync(place, { throwIfNoEntry: false })
  if (found?.isSymbolicLink() === true) refuse("it is a symbolic link: specify the path of the file itself")
  if (found !== undefined && !found.isFile()) refuse("it exists, but is not a regular file")
  if (found !== undefined && !force) refuse("it exists: choose another path, or replace it with --force")
  const holders = holdersOf([place, lockFile(options), ...lockFilesOf(place)])
  if (holders.length > 0)
    refuse(`it is open in process ${holders.join(", ")}: stop the application, and sync or receive`)
}

/** Gives the new file the owner and mode of the file that it replaces, so that the application can open it. */
const takeOwner = (temporary: string, place: string): void => {
  const old = fs.statSync(place, { throwIfNoEntry: false })
  if (old === undefined) return
  fs.chmodSync(temporary, old.mode & 0o7777)
  const own = fs.statSync(temporary)
  if (own.uid !== old.uid || own.gid !== old.gid) fs.chownSync(temporary, old.uid, old.gid)
}

/** Codes with which `link` fails on file systems without hard links. */
const cannotLink: ReadonlySet<unknown> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"])

/**
 * Without `force`, a file that was created after the check stays: in contrast to `rename`, `link` never replaces one.
 */
const move = (temporary: string, place: string, force: boolean): void => {
  if (force) return fs.renameSync(temporary, place)
  try {
    fs.linkSync(temporary, place)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && cannotLink.has(error.code))) throw error
    return fs.renameSync(temporary, place)
  }
  fs.unlinkSync(temporary)
}

/** `options` are those of the LMDB at its final path. The temporary files are removed when the scope closes. */
export const make = Effect.fnUntraced(function* (options: LmdbOptions, force: boolean) {
  const place = dataFile(options)
  yield* attempt(place, () => {
    requireFree(options, force)
    makeDirectory(options)
  })
  const random = (yield* Random.nextIntBetween(0, 2 ** 48)).toString(36)
  const temporary = path.join(path.dirname(place), `.${path.basename(place)}.${random}.tmp`)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const file of [temporary, `${temporary}-lock`]) fs.rmSync(file, { force: true })
    })
  )
  return {
    temporary,
    place,
    size: attempt(place, () => fs.statSync(temporary).size),
    setMapSize: (bytes) =>
      attempt(place, () => {
        const meta = readMeta(temporary)
        if (meta !== undefined) writeMapSize(temporary, meta.pageSize, bytes)
      }),
    publish: attempt(place, () => {
      requireFree(options, force)
      takeOwner(temporary, place)
      sync(temporary)
      move(temporary, place, force)
      sync(path.dirname(place))
    }).pipe(Effect.uninterruptible)
  } satisfies NewDataFile
})
