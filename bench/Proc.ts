/** Information about processes and the machine from Linux's /proc. */
import { Effect, FileSystem } from "effect"
import * as os from "node:os"

const read = Effect.fnUntraced(function* (path: string) {
  return yield* (yield* FileSystem.FileSystem).readFileString(path)
})

/**
 * Returns the anonymous resident memory of a process in MB (10^6 bytes), which excludes the files that it maps, or 0 if
 * the process has ended.
 */
export const rssAnon = (pid: number) =>
  read(`/proc/${pid}/status`).pipe(
    Effect.map((status) => (Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024) / 1e6),
    Effect.orElseSucceed(() => 0)
  )

/** Clock ticks per second. They take 10 ms on all platforms of Linux that run Node. */
const ticksPerSecond = 100

/** Returns the processor time used by all threads of a process, in seconds. */
export const cpuSeconds = Effect.fnUntraced(function* (pid: number) {
  const stat = yield* read(`/proc/${pid}/stat`)
  // The name of the process may contain spaces and brackets, so the fields are counted from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
})

/**
 * Returns the processor time used by the threads that a process has now, in milliseconds. It is exact, in contrast to
 * the ticks above.
 */
export const cpuMillis = Effect.fnUntraced(function* (pid: number) {
  const tasks = `/proc/${pid}/task`
  const threads = yield* (yield* FileSystem.FileSystem).readDirectory(tasks)
  const nanos = yield* Effect.forEach(threads, (thread) =>
    Effect.map(read(`${tasks}/${thread}/schedstat`), (text) => Number(text.split(" ")[0]))
  )
  return nanos.reduce((sum, one) => sum + one, 0) / 1e6
})

/** Ticks that the hypervisor has given to other guests, and all ticks, since the machine was started. */
const stolenTicks = Effect.gen(function* () {
  const cpu = (yield* read("/proc/stat")).split("\n")[0]!.trim().split(/\s+/).slice(1, 9).map(Number)
  return { steal: cpu[7] ?? 0, all: cpu.reduce((sum, ticks) => sum + ticks, 0) }
})

/**
 * Runs `use`, and also returns the share of processor time that the hypervisor gave to other guests in the meantime, as
 * a measure of how noisy the machine was.
 */
export const withSteal = Effect.fnUntraced(function* <A, E, R>(use: Effect.Effect<A, E, R>) {
  const before = yield* stolenTicks
  const value = yield* use
  const after = yield* stolenTicks
  return { value, steal: (after.steal - before.steal) / Math.max(1, after.all - before.all) }
})

export const machine = (): string =>
  `${os.availableParallelism()} cores of ${os.cpus()[0]?.model.trim() ?? "unknown"}, Node ${process.version}, Linux ${os.release()}`

/**
 * Number of runnable processes over the last minute, before the measurement begins. The work of other processes affects
 * all figures.
 */
export const load = (): number => os.loadavg()[0]!
