/**
 * Tells when somebody writes to a data file, so that a change need not wait for the next poll. A hint and no more: it
 * may come too often, and where the system has no watches left, or the file is on a network, it never comes. The watch
 * goes by the path: it opens nothing.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- FileSystem.watch of effect reads the file's directory again for each event
import * as fs from "node:fs"
import { Effect, Latch } from "effect"

/** For the scope: an effect that ends at the first change since it ended last, or never. */
export const watch = Effect.fnUntraced(function* (path: string) {
  const latch = Latch.makeUnsafe(false)
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      try {
        const watcher = fs.watch(path, { persistent: false }, () => void latch.openUnsafe())
        watcher.on("error", () => watcher.close())
        return watcher
      } catch {
        // Polling goes on without it.
        return undefined
      }
    }),
    (watcher) => Effect.sync(() => watcher?.close())
  )
  return Effect.andThen(latch.await, latch.close)
})
