/**
 * Checks the directory for spooled snapshots before anything is written there. It must exist and be writable, and
 * should not be in memory.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- statfs is not in effect's FileSystem
import * as NodeFs from "node:fs/promises"
import { Effect, FileSystem } from "effect"

/** File systems in memory, by their numbers in statfs(2): tmpfs and ramfs. The spool exists to save memory. */
const memoryFileSystems = new Set([0x01021994, 0x858458f6])

/** Returns warnings about the directory. */
export const warningsOf = Effect.fnUntraced(function* (directory: string) {
  const found = yield* Effect.tryPromise(() => NodeFs.statfs(directory)).pipe(Effect.option)
  return found._tag === "Some" && memoryFileSystems.has(found.value.type)
    ? [`spool_directory: ${directory} is in memory (tmpfs): snapshots that are spooled there count against it`]
    : []
})

/** Returns why the directory cannot be used, or undefined if it can. */
export const problemOf = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const isFolder = yield* fs.stat(directory).pipe(
    Effect.map(({ type }) => type === "Directory"),
    Effect.orElseSucceed(() => false)
  )
  if (!isFolder) return `expected a directory that exists, not ${JSON.stringify(directory)}`
  const isWritable = yield* fs.access(directory, { writable: true }).pipe(
    Effect.as(true),
    Effect.orElseSucceed(() => false)
  )
  return isWritable ? undefined : `expected a directory that this user can write to, not ${JSON.stringify(directory)}`
})

/** Returns the number of bytes that this user may write, or undefined if it cannot be determined. */
export const freeBytes = (directory: string) =>
  Effect.tryPromise(() => NodeFs.statfs(directory)).pipe(
    Effect.map(({ bavail, bsize }) => bavail * bsize),
    Effect.orElseSucceed(() => undefined)
  )
