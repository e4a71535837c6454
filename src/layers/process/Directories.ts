/**
 * Makes a directory with its parents. What the system says is passed on as it is; a directory that is there already is
 * no error.
 *
 * The first one that is missing is made by itself. In a directory that is there and says ENOENT to whatever is to be
 * made in it, as /proc does, Node's own way would make parent and child in turn forever, in `mkdir` and in `mkdirSync`.
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
