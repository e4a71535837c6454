/**
 * Looks at the event loop of this thread: how late each look is, and for how much of the time since the last one the
 * loop was blocked.
 *
 * A late look alone does not tell that: a timer also comes late while a virtual core stands still. Blocked is what is
 * neither the loop's sleep, which libuv counts, nor time for which the thread was ready and had no core, which the
 * kernel counts. The two overlap where a sleep ends, so the larger one is taken off: what is told is never less than it
 * was. All three are read again when the thread had to wait for a core between reading one and the next: that wait
 * would be taken off one look and be in the other.
 *
 * Without Effect, since it is also loaded into the measured daemons.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- read within a callback, where nothing may be waited for
import * as fs from "node:fs"
import { performance } from "node:perf_hooks"

export interface Gaps {
  /** Milliseconds, of the longest. */
  readonly loopGapMillis: number
  /** Of whichever time between two looks has the most of it. */
  readonly loopBlockedMillis: number
  /** For which the thread worked in that time: in the rest of it, it waited for something else than work or a core. */
  readonly workedMillis: number
  /** Since the process began, when that time ended. */
  readonly blockedUntilMillis: number
  /** Of all of them together: for how long the loop had something to do. */
  readonly loopBusyMillis: number
}

/** Environment variable of a process that loads loop-probe.ts: the file for its report, `LoopReport` of Results.ts. */
export const reportVariable = "LIGHTNINGSTREAM_BENCH_LOOP"

/**
 * Environment with which a process is looked at by `probe`, which is loop-probe.ts or its bundle; the report is there
 * when it has ended.
 */
export const environment = (probe: URL, report: string) => ({
  NODE_OPTIONS: `--import ${probe.href}`,
  [reportVariable]: report
})

/** Tells a process that is looked at to forget what was: it is ready, and only what it does from now on counts. */
export const resetSignal = "SIGUSR2"

/** Milliseconds between two looks. */
export const interval = 2

export interface LoopMeter {
  readonly look: () => void
  /** Of all looks since the last `reset`. */
  readonly gaps: () => Gaps
  readonly reset: () => void
  readonly close: () => void
}

/** Of this thread since it began: nanoseconds that it ran, and that it waited for a core, and how often it ran. */
const schedulerFile = "/proc/thread-self/schedstat"

/** A clock and how long the loop has slept so far, in milliseconds. */
const clock = () => ({ now: performance.now(), slept: performance.nodeTiming.idleTime })

/** Reads the clock while `waited` stands still. */
export const readTogether = <A extends object>(
  read: () => A,
  waited: () => number
): A & { readonly waited: number } => {
  for (;;) {
    const before = waited()
    const values = read()
    if (waited() === before) return { ...values, waited: before }
  }
}

export const open = (): LoopMeter => {
  const fd = fs.openSync(schedulerFile, "r")
  const buffer = Buffer.alloc(256)
  const schedule = (index: 0 | 1) =>
    Number(buffer.toString("latin1", 0, fs.readSync(fd, buffer, 0, buffer.length, 0)).split(" ")[index]) / 1e6
  const read = () => ({ ...clock(), ran: schedule(0) })
  const waited = () => schedule(1)
  let last = readTogether(read, waited)
  let gap = 0
  let blocked = 0
  let worked = 0
  let until = 0
  let busy = 0
  return {
    look: () => {
      const next = readTogether(read, waited)
      const elapsed = next.now - last.now
      gap = Math.max(gap, elapsed - interval)
      const awake = elapsed - Math.max(next.slept - last.slept, next.waited - last.waited)
      if (awake > blocked) {
        blocked = awake
        worked = next.ran - last.ran
        until = next.now
      }
      busy += awake
      last = next
    },
    gaps: () => ({
      loopGapMillis: gap,
      loopBlockedMillis: blocked,
      workedMillis: worked,
      blockedUntilMillis: until,
      loopBusyMillis: busy
    }),
    reset: () => void (gap = blocked = worked = until = busy = 0),
    close: () => fs.closeSync(fd)
  }
}
