/**
 * `node bench/latency.ts A B COUNT PAUSE_MILLIS`: measures how long it takes until an entry that is put into LMDB A is
 * visible in LMDB B, and vice versa in turn, COUNT times, while two daemons run. The time is measured from after the
 * commit until the first lookup that finds the entry; there is a lookup every 2 ms. A first change, which is not
 * counted, waits until the daemons are ready. The pauses are random, so that no phase of the polls is preferred.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Console, Effect, Random } from "effect"
import * as Bare from "./BareLmdb.ts"
import * as NativeEntry from "./NativeEntry.ts"
import type { LatencyResult } from "./Results.ts"

const [pathA, pathB, count, pauseMillis] = process.argv.slice(2) as [string, string, string, string]

/** Milliseconds after which a change counts as lost. */
const patience = 120_000

const open = (path: string) => {
  const environment = Bare.open(path)
  return { path, environment, dbi: Bare.openDbi(environment, "records_v5") }
}

type Side = ReturnType<typeof open>

const seenAfter = Effect.fnUntraced(function* (from: Side, to: Side, key: string) {
  NativeEntry.put(from.environment, from.dbi, key, "a change", yield* Clock.currentTimeNanos)
  const begin = performance.now()
  while (NativeEntry.get(to.environment, to.dbi, key) === undefined) {
    if (performance.now() - begin > patience)
      return yield* Effect.die(new Error(`"${key}" was not seen in ${to.path} after ${patience / 1000} s`))
    yield* Effect.sleep("2 millis")
  }
  return performance.now() - begin
})

Effect.gen(function* () {
  const sides = [open(pathA), open(pathB)] as const
  const millis: Array<number> = []
  for (let i = 0; i <= Number(count); i++) {
    const time = yield* seenAfter(
      sides[i % 2]!,
      sides[(i + 1) % 2]!,
      `a change for the benchmark, at ${performance.timeOrigin + performance.now()}`
    )
    if (i > 0) millis.push(time)
    yield* Effect.sleep(Number(pauseMillis) * (1 + (yield* Random.next)))
  }
  const result: LatencyResult = { millis }
  yield* Console.log(JSON.stringify(result))
}).pipe(NodeRuntime.runMain)
