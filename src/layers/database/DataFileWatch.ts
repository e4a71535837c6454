/**
 * Reports writes to a data file, so that a change need not wait for the next poll. The report is only a hint: it may
 * come too often, and it never comes when the system has no watches left or the file is on a network file system. The
 * watch uses the path and opens no file.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- FileSystem.watch of effect reads the file's directory again for each event
import * as fs from "node:fs"
import { Effect, Latch } from "effect"

/**
 * Returns an effect that completes at the first change since it last completed, or never. The watch lasts as long as
 * the scope.
 */
export const watch = Effect.fnUntraced(function* (path: string) {
  const latch = Latch.makeUnsafe(false)
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      try {
        const watcher = fs.watch(path, { persistent: false }, () => void latch.openUnsafe())
        watcher.on("error", () => watcher.close())
        return watcher
      } catch {
        // Polling works without it.
        return undefined
      }
    }),
    (watcher) => Effect.sync(() => watcher?.close())
  )
  return Effect.andThen(latch.await, latch.close)
})
