/**
 * Measures what the status page at its largest costs a running daemon, with 64 databases and 20 instances of each. The
 * figures include the request, the statistics of the LMDBs and the response. The CPU time excludes what the daemon uses
 * without requests. Unlike the waits, it does not depend on other work of the machine.
 */
import { Effect } from "effect"
import { get, metricsOf, valueIn } from "../test/support/HttpPages.ts"
import * as ManyDatabases from "../test/support/ManyDatabases.ts"
import { atMost, milliseconds, plain, type Row } from "./Table.ts"

const cpuMax = 50

const requests = 60

/** Number of first requests that do not count, because the code is compiled during them. */
const compiled = 30

const cpuMillis = (address: string) =>
  Effect.map(metricsOf(address), (exposition) => 1e3 * valueIn(exposition, "process_cpu_seconds_total")!)

/** Returns the elapsed time and the CPU time of all threads of the daemon in milliseconds. */
const during = Effect.fnUntraced(function* <E, R>(address: string, use: Effect.Effect<void, E, R>) {
  const [cpu, began] = [yield* cpuMillis(address), performance.now()]
  yield* use
  return { millis: performance.now() - began, cpuMillis: (yield* cpuMillis(address)) - cpu }
})

export const run = Effect.gen(function* () {
  const address = yield* ManyDatabases.start
  const waits: Array<number> = []
  let bytes = 0
  const ask = Effect.gen(function* () {
    const began = performance.now()
    const { body } = yield* get(address, "/")
    waits.push(performance.now() - began)
    bytes = body.length
  })
  yield* Effect.replicateEffect(ask, compiled, { discard: true })
  const idle = yield* during(address, Effect.sleep("10 seconds"))
  waits.length = 0
  const asked = yield* during(address, Effect.replicateEffect(ask, requests, { discard: true }))
  const cpu = (asked.cpuMillis - (idle.cpuMillis * asked.millis) / idle.millis) / requests
  const sorted = waits.toSorted((a, b) => a - b)
  const row: Row = {
    "the status page": plain(`${ManyDatabases.databases} databases, ${ManyDatabases.instances} instances each`),
    size: plain(`${Math.round(bytes / 1024)} KiB`),
    requests: plain(String(requests)),
    "CPU time for a page": atMost(cpu, cpuMax, milliseconds),
    "wait, fastest": plain(milliseconds(sorted[0]!)),
    median: plain(milliseconds(sorted[requests / 2]!)),
    longest: plain(milliseconds(sorted.at(-1)!))
  }
  return [row]
}).pipe(Effect.scoped)
