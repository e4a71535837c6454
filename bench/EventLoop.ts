/**
 * Looks at the event loop of this thread every 2 ms: how late each look is, and for how much of the time since the last one the loop was blocked.
 *
 * A late look alone does not tell that: a timer also comes late while a virtual core stands still. Blocked is what is neither the loop's sleep, which
 * libuv counts, nor time for which the thread was ready and had no core, which the kernel counts. The two overlap where a sleep ends, so the larger
 * one is taken off: what is told is never less than it was. All three are read again when the thread had to wait for a core between reading one and
 * the next: that wait would be taken off one look and be in the other.
 */
import { Effect } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- read within a callback, where nothing may be waited for
import * as fs from "node:fs"
import { performance } from "node:perf_hooks"

export interface Gaps {
  /** Milliseconds, of the longest. */
  readonly loopGapMillis: number
  /** Of whichever time between two looks has the most of it. */
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

/** A clock and how long the loop has slept so far, in milliseconds. */
const clock = () => ({ now: performance.now(), slept: performance.nodeTiming.idleTime })

/** Reads the clock while `waited` stands still. */
export const readTogether = <A extends object>(read: () => A, waited: () => number): A & { readonly waited: number } => {
  for (;;) {
    const before = waited()
    const values = read()
    if (waited() === before) return { ...values, waited: before }
  }
}

export const gapsDuring = Effect.fnUntraced(function*<A, E, R>(use: Effect.Effect<A, E, R>) {
  const waited = yield* openWaits
  let last = readTogether(clock, waited)
  let gap = 0
  let blocked = 0
  const look = Effect.sync(() => {
    const next = readTogether(clock, waited)
    const elapsed = next.now - last.now
    gap = Math.max(gap, elapsed - intervalMillis)
    blocked = Math.max(blocked, elapsed - Math.max(next.slept - last.slept, next.waited - last.waited))
    last = next
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(intervalMillis), look)))
  // So that the first gap is not that of starting to look.
  yield* Effect.sleep("20 millis")
  gap = blocked = 0
  const value = yield* use
  yield* look
  return { value, loopGapMillis: gap, loopBlockedMillis: blocked }
}, Effect.scoped)
