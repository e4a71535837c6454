/**
 * Creates a directory with its parents. System errors are passed on unchanged. It is not an error if the directory
 * exists.
 *
 * The topmost missing directory is created separately. In an existing directory that reports ENOENT for everything
 * created in it, as /proc does, Node's recursive `mkdir` and `mkdirSync` would retry parent and child in turn forever.
 */
import { Effect, type FileSystem } from "effect"
import type { PlatformError } from "effect/PlatformError"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- for the engine, which opens its files within one turn
import * as nodeFs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- pure
import { dirname } from "node:path"

export const makeSync = (directory: string, mode: number): void => {
  let first = directory
  while (!nodeFs.existsSync(dirname(first))) first = dirname(first)
  try {
    nodeFs.mkdirSync(first, { mode })
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
  }
  nodeFs.mkdirSync(directory, { recursive: true, mode })
}

export const make = Effect.fnUntraced(function* (
  fs: FileSystem.FileSystem,
  directory: string,
  mode: number
): Effect.fn.Return<void, PlatformError> {
  let first = directory
  while (!(yield* fs.exists(dirname(first)))) first = dirname(first)
  yield* Effect.catchIf(
    fs.makeDirectory(first, { mode }),
    ({ reason }) => reason._tag === "AlreadyExists",
    () => Effect.void
  )
  yield* fs.makeDirectory(directory, { recursive: true, mode })
})
