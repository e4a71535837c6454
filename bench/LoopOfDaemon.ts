/**
 * The event loop of a daemon's main thread, from when it is ready to its end, beside that of this process, which has
 * next to nothing to do meanwhile: what blocks both is the machine, which has no core for a thread that has a lock.
 */
import { Effect, FileSystem } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as EventLoop from "./EventLoop.ts"
import * as LoopMeter from "./LoopMeter.ts"
import { LoopReport } from "./Results.ts"
import { atMost, milliseconds, plain, type Row, seconds } from "./Table.ts"

/** Milliseconds for which a running daemon may be blocked: by a collection of garbage, or by a page of a listing. */
const blockedMax = 50

/** The daemon is ready: only what it does from now on counts. */
export const isReady = (pid: number) => Effect.sync(() => void process.kill(pid, LoopMeter.resetSignal))

/** `use` starts a daemon with this environment, says when it `isReady`, and ends it. */
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
