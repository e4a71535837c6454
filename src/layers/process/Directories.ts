/**
 * Makes a folder with its parents. What the system says is passed on as it is; a folder that is there already is no
 * error.
 *
 * The first one that is missing is made by itself. In a folder that is there and says ENOENT to whatever is to be made
 * in it, as /proc does, Node's own way would make parent and child in turn for ever, in `mkdir` and in `mkdirSync`.
 */
import { Effect, type FileSystem } from "effect"
import type { PlatformError } from "effect/PlatformError"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- for the engine, which opens its files within one turn
import * as nodeFs from "node:fs"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- pure
import { dirname } from "node:path"

export const makeSync = (folder: string, mode: number): void => {
  let first = folder
  while (!nodeFs.existsSync(dirname(first))) first = dirname(first)
  try {
    nodeFs.mkdirSync(first, { mode })
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
  }
  nodeFs.mkdirSync(folder, { recursive: true, mode })
}

export const make = Effect.fnUntraced(function* (
  fs: FileSystem.FileSystem,
  folder: string,
  mode: number
): Effect.fn.Return<void, PlatformError> {
  let first = folder
  while (!(yield* fs.exists(dirname(first)))) first = dirname(first)
  yield* Effect.catchIf(
    fs.makeDirectory(first, { mode }),
    ({ reason }) => reason._tag === "AlreadyExists",
    () => Effect.void
  )
  yield* fs.makeDirectory(folder, { recursive: true, mode })
})
