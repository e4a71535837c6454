/** What Linux says about processes and the machine, from /proc. */
import { Effect, FileSystem } from "effect"
import * as os from "node:os"

const read = Effect.fnUntraced(function* (path: string) {
  return yield* (yield* FileSystem.FileSystem).readFileString(path)
})

/**
 * Anonymous resident memory in MB (10^6 bytes): what a process really takes, without the files it maps. 0 when it has
 * ended.
 */
export const rssAnon = (pid: number) =>
  read(`/proc/${pid}/status`).pipe(
    Effect.map((status) => (Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024) / 1e6),
    Effect.orElseSucceed(() => 0)
  )

/** Clock ticks are of 10 ms wherever Linux runs Node. */
const ticksPerSecond = 100

/** Processor time used by all threads of a process, in seconds. */
export const cpuSeconds = Effect.fnUntraced(function* (pid: number) {
  const stat = yield* read(`/proc/${pid}/stat`)
  // The name may hold blanks and brackets: fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
})

/** Ticks that the hypervisor gave to others, and all ticks, since the machine started. */
const stolenTicks = Effect.gen(function* () {
  const cpu = (yield* read("/proc/stat")).split("\n")[0]!.trim().split(/\s+/).slice(1, 9).map(Number)
  return { steal: cpu[7] ?? 0, all: cpu.reduce((sum, ticks) => sum + ticks, 0) }
})

/**
 * Runs `use`, and tells which share of the processors' time the hypervisor gave to others meanwhile: a measure of how
 * noisy it was.
 */
export const withSteal = Effect.fnUntraced(function* <A, E, R>(use: Effect.Effect<A, E, R>) {
  const before = yield* stolenTicks
  const value = yield* use
  const after = yield* stolenTicks
  return { value, steal: (after.steal - before.steal) / Math.max(1, after.all - before.all) }
})

export const machine = (): string =>
  `${os.availableParallelism()} cores of ${os.cpus()[0]?.model.trim() ?? "unknown"}, Node ${process.version}, Linux ${os.release()}`

/** Runnable processes over the last minute, before we begin: others' work shows in all figures. */
export const load = (): number => os.loadavg()[0]!
