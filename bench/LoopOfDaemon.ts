/**
 * Measures the event loop of a daemon's main thread from when it is ready until its end, together with that of this
 * process, which has almost nothing to do. If both are blocked, the cause is the machine, which has no core for a
 * thread that holds a lock.
 */
import { Effect, FileSystem } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as EventLoop from "./EventLoop.ts"
import * as LoopMeter from "./LoopMeter.ts"
import { LoopReport } from "./Results.ts"
import { atMost, milliseconds, plain, type Row, seconds } from "./Table.ts"

/**
 * Maximum time in milliseconds for which a running daemon may be blocked, by garbage collection or by a page of a
 * listing.
 */
const blockedMax = 50

/** Tells the daemon that only what it does from now on counts, because it is ready. */
export const isReady = (pid: number) => Effect.sync(() => void process.kill(pid, LoopMeter.resetSignal))

/** Runs `use`, which starts a daemon with this environment, calls `isReady`, and ends the daemon. */
export const during = Effect.fn("LoopOfDaemon.during")(function* <A, E, R>(
  directory: string,
  use: (env: Readonly<Record<string, string>>) => Effect.Effect<A, E, R>
) {
  const report = `${directory}/loop.json`
  const { loopBlockedMillis: beside, value } = yield* EventLoop.gapsDuring(
    use(LoopMeter.environment(Bundle.loopProbe, report))
  )
  const text = yield* (yield* FileSystem.FileSystem).readFileString(report)
  const {
    blockedUntilMillis,
    loopBlockedMillis: blocked,
    workedMillis
  } = yield* Child.decodeReport("the daemon's event loop", LoopReport, text)
  const columns: Row = {
    "event loop blocked": atMost(blocked, blockedMax, milliseconds),
    "of it at work; when": plain(`${milliseconds(workedMillis)}; ${seconds(blockedUntilMillis)}`),
    "blocked in a process beside it": plain(milliseconds(beside))
  }
  return { value, columns }
})
