/** Reads and writes local files, for commands that work on a copy of an object. */
import { ByteSize, Effect, Exit, FileSystem, Random, Schema, Stream } from "effect"
import type { PlatformError } from "effect/PlatformError"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- pure
import { basename, dirname } from "node:path"
import type { Bytes } from "../../domain/bytes/Bytes.ts"
import type { Source } from "../../services/Storage.ts"

const chunkBytes = 262_144

export class LocalFileFailed extends Schema.TaggedError<LocalFileFailed>()("LocalFileFailed", {
  path: Schema.String,
  operation: Schema.Literals(["read", "written"]),
  problem: Schema.String
}) {
  override get message(): string {
    return `the file ${this.path} cannot be ${this.operation}: ${this.problem}`
  }
}

const failed = (path: string, operation: LocalFileFailed["operation"]) => (error: PlatformError) =>
  new LocalFileFailed({
    path,
    operation,
    problem: error.reason.cause instanceof Error ? error.reason.cause.message : error.message
  })

/** Returns the whole file, or bytes `start` to `end` (exclusive). The stream can be run more than once. */
export const read = (path: string, range?: { readonly start: number; readonly end: number }) =>
  Stream.unwrap(
    Effect.map(FileSystem.FileSystem, (fs) =>
      fs.stream(path, {
        chunkSize: chunkBytes,
        ...(range === undefined ? {} : { offset: range.start, bytesToRead: range.end - range.start })
      })
    )
  ).pipe(
    Stream.map((chunk): Bytes => new Uint8Array(chunk)),
    Stream.mapError(failed(path, "read"))
  )

/** Returns the size of a regular file in bytes, or undefined for anything else. */
export const sizeOf = (path: string) =>
  FileSystem.FileSystem.use((fs) => fs.stat(path)).pipe(
    Effect.map(({ size, type }) => (type === "File" ? ByteSize.toNumberUnsafe(size) : undefined)),
    Effect.orElseSucceed(() => undefined)
  )

/** Returns the file as a source for `Storage.store`. */
export const source = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(fs.stat(path), failed(path, "read"))
  if (info.type !== "File") {
    return yield* new LocalFileFailed({ path, operation: "read", problem: "it is not a regular file" })
  }
  return {
    size: ByteSize.toNumberUnsafe(info.size),
    read: (start, end) => read(path, { start, end })
  } satisfies Source<LocalFileFailed, FileSystem.FileSystem>
})

const append = <E, R>(path: string, file: FileSystem.File, bytes: Stream.Stream<Bytes, E, R>) =>
  Stream.runForEach(bytes, (chunk) =>
    Effect.mapError(Effect.uninterruptible(file.writeAll(chunk)), failed(path, "written"))
  )

/** True for a special file, such as a pipe, a terminal or /dev/null, which is written to directly. */
const isSpecial = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const type = yield* fs.stat(path).pipe(
    Effect.map((info) => info.type),
    Effect.catch(() => Effect.succeed("File"))
  )
  return type !== "File" && type !== "Directory"
})

/**
 * Writes a file, replacing an existing one: a temporary file in the same directory is written, synced and renamed. On
 * failure or interruption the existing file is unchanged and the temporary file is removed.
 */
export const write = Effect.fnUntraced(function* <E, R>(path: string, bytes: Stream.Stream<Bytes, E, R>) {
  const fs = yield* FileSystem.FileSystem
  const isFailed = failed(path, "written")
  if (yield* isSpecial(path)) {
    // With "w", each write would have a position, which a pipe does not support.
    const file = yield* Effect.mapError(fs.open(path, { flag: "a" }), isFailed)
    return yield* append(path, file, bytes)
  }
  const random = (yield* Random.nextIntBetween(0, 2 ** 48)).toString(36)
  const temporary = `${dirname(path)}/.${basename(path)}.${random}.tmp`
  const file = yield* Effect.acquireRelease(Effect.mapError(fs.open(temporary, { flag: "wx" }), isFailed), (_, exit) =>
    Exit.isSuccess(exit) ? Effect.void : Effect.ignore(fs.remove(temporary, { force: true }))
  )
  yield* append(path, file, bytes)
  yield* Effect.mapError(Effect.uninterruptible(file.sync), isFailed)
  yield* Effect.mapError(Effect.uninterruptible(fs.rename(temporary, path)), isFailed)
}, Effect.scoped)
