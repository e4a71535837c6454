/**
 * The event loop of a daemon's main thread, from its first turn to its end, beside that of this process, which has next
 * to nothing to do meanwhile: what blocks both is the machine, which has no core for a thread that has a lock.
 */
import { Effect, FileSystem } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as EventLoop from "./EventLoop.ts"
import * as LoopMeter from "./LoopMeter.ts"
import { LoopReport } from "./Results.ts"
import { type Figure, milliseconds, plain, type Row, seconds } from "./Table.ts"

/**
 * `use` starts a daemon with this environment, and ends it; `judge` makes a figure of the milliseconds for which its
 * loop was blocked at the longest.
 */
export const during = Effect.fn("LoopOfDaemon.during")(function* <A, E, R>(
  folder: string,
  use: (env: Readonly<Record<string, string>>) => Effect.Effect<A, E, R>,
  judge: (millis: number) => Figure = (millis) => plain(milliseconds(millis))
) {
  const report = `${folder}/loop.json`
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
    "event loop blocked": judge(blocked),
    "of it at work; when": plain(`${milliseconds(workedMillis)}; ${seconds(blockedUntilMillis)}`),
    "blocked in a process beside it": plain(milliseconds(beside))
  }
  return { value, columns }
})
