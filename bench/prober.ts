/**
 * `node bench/prober.ts FILE`: takes LMDB's write lock and releases it every 2 ms, as an application that writes all
 * the time would, but writes nothing. Prints `ready`. When its standard input ends, or at SIGTERM, it reports its
 * longest wait, and the ids of the last transaction before and after.
 *
 * Its priority is raised if that is permitted, because it should measure the lock and not the scheduler.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import * as os from "node:os"
import * as Bare from "./BareLmdb.ts"
import type { ProberReport } from "./Results.ts"

const inputEnds = Effect.callback<void>((resume) => {
  const end = () => resume(Effect.void)
  process.stdin.on("end", end).on("close", end).resume()
})

const raisePriority = Effect.sync(() => os.setPriority(-15)).pipe(Effect.catchDefect(() => Effect.void))

Effect.gen(function* () {
  yield* raisePriority
  const environment = Bare.open(process.argv[2]!)
  // During the first calls, code is compiled and pages are mapped.
  for (let i = 0; i < 200; i++) Bare.takeLock(environment)
  const firstId = environment.env.info().lastTxnId
  let longestWaitMillis = 0
  let takes = 0
  yield* Console.log("ready")
  const probe = Effect.sync(() => {
    longestWaitMillis = Math.max(longestWaitMillis, Bare.takeLock(environment))
    takes++
  })
  const report = Effect.suspend(() => {
    const lastId = environment.env.info().lastTxnId
    return Console.log(JSON.stringify({ longestWaitMillis, takes, firstId, lastId } satisfies ProberReport))
  })
  // SIGTERM interrupts this effect.
  yield* Effect.raceFirst(inputEnds, Effect.forever(Effect.andThen(probe, Effect.sleep("2 millis")))).pipe(
    Effect.ensuring(report)
  )
}).pipe(NodeRuntime.runMain)
