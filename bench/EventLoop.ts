/**
 * Looks at the event loop of this thread every 2 ms: how late each look is, and for how much of that the thread was ready to run and had no core.
 * The rest is what it was blocked for, by what it did itself or waited for.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- read within a callback, where nothing may be waited for
import * as fs from "node:fs"

export interface Gaps {
  /** Milliseconds, of the longest. */
  readonly loopGapMillis: number
  /** Without the wait for a core; of whichever has the most of it. */
  readonly loopBlockedMillis: number
}

const intervalMillis = 2

/** Nanoseconds that this thread has waited for a core since it began. Its three numbers: time that it ran, that it waited, and how often it ran. */
const schedulerFile = "/proc/thread-self/schedstat"

/** A function that tells the milliseconds so far, and is cheap. Closed with the scope. */
const openWaits = Effect.map(
  Effect.acquireRelease(Effect.sync(() => fs.openSync(schedulerFile, "r")), (fd) => Effect.sync(() => fs.closeSync(fd))),
  (fd) => {
    const buffer = Buffer.alloc(256)
    return () => Number(buffer.toString("latin1", 0, fs.readSync(fd, buffer, 0, buffer.length, 0)).split(" ")[1]) / 1e6
  }
)

export const gapsDuring = Effect.fnUntraced(function*<A, E, R>(use: Effect.Effect<A, E, R>) {
  const waits = yield* openWaits
  let last = performance.now()
  let waited = waits()
  let gap = 0
  let blocked = 0
  const look = Effect.sync(() => {
    const now = performance.now()
    const waitedNow = waits()
    const late = now - last - intervalMillis
    gap = Math.max(gap, late)
    blocked = Math.max(blocked, late - (waitedNow - waited))
    last = now
    waited = waitedNow
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(intervalMillis), look)))
  // So that the first gap is not that of starting to look.
  yield* Effect.sleep("20 millis")
  gap = blocked = 0
  const value = yield* use
  return { value, loopGapMillis: gap, loopBlockedMillis: blocked }
}, Effect.scoped)
