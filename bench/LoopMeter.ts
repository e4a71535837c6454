/**
 * Observes the event loop of this thread in regular samples: how late each sample is, and for how much of the time
 * since the previous one the loop was blocked.
 *
 * A late sample alone does not show that the loop was blocked, because a timer is also late if a virtual core is
 * suspended. The blocked time excludes the sleep of the loop, which libuv counts, and the time for which the thread was
 * ready but had no core, which the kernel counts. The two overlap at the end of a sleep, so only the larger one is
 * subtracted: the reported time is never too short. If the thread had to wait for a core while the three values were
 * read, they are read again, because otherwise that wait would be subtracted from one sample and be part of another.
 *
 * This module does not use Effect, because it is also loaded into the measured daemons.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- read within a callback, where nothing may be waited for
import * as fs from "node:fs"
import { performance } from "node:perf_hooks"

export interface Gaps {
  /** The longest gap between two samples beyond `interval`, in milliseconds. */
  readonly loopGapMillis: number
  /** The longest blocked time between two samples. */
  readonly loopBlockedMillis: number
  /**
   * Time for which the thread was running between these two samples. In the rest of the blocked time, it waited for
   * something other than work or a core.
   */
  readonly workedMillis: number
  /** Time of the second of these samples since the start of the process. */
  readonly blockedUntilMillis: number
  /** Sum of the blocked times of all samples, that is, the time for which the loop had something to do. */
  readonly loopBusyMillis: number
}

/**
 * Environment variable with the file for the report of a process that loads loop-probe.ts: `LoopReport` of Results.ts.
 */
export const reportVariable = "LIGHTNINGSTREAM_BENCH_LOOP"

/**
 * Returns the environment of a process that is observed by `probe`, which is loop-probe.ts or its bundle. The report
 * exists when the process has ended.
 */
export const environment = (probe: URL, report: string) => ({
  NODE_OPTIONS: `--import ${probe.href}`,
  [reportVariable]: report
})

/** Signal that tells an observed process to forget its samples, because it is ready and only what follows counts. */
export const resetSignal = "SIGUSR2"

/** Milliseconds between two samples. */
export const interval = 2

export interface LoopMeter {
  readonly look: () => void
  /** Returns the values of all samples since the last `reset`. */
  readonly gaps: () => Gaps
  readonly reset: () => void
  readonly close: () => void
}

/**
 * For this thread since its start: nanoseconds that it ran, nanoseconds that it waited for a core, and how often it
 * ran.
 */
const schedulerFile = "/proc/thread-self/schedstat"

/** Returns the time and how long the loop has slept so far, in milliseconds. */
const clock = () => ({ now: performance.now(), slept: performance.nodeTiming.idleTime })

/** Reads values during which `waited` has not changed. */
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
