/**
 * How long a running daemon takes for its status page at its largest: 64 databases, and 20 instances of each. The
 * request, the wait for statistics of the LMDBs and the response are in it.
 */
import { Effect } from "effect"
import { get } from "../test/support/HttpPages.ts"
import * as ManyDatabases from "../test/support/ManyDatabases.ts"
import { atMost, milliseconds, plain, type Row } from "./Table.ts"

const medianMax = 50

const requests = 60

/** Every fourth page has newer statistics of the LMDBs. */
const pause = "250 millis"

/** The first ones are compiled on the way. */
const compiled = 20

export const run = Effect.gen(function* () {
  const address = yield* ManyDatabases.start
  const millis: Array<number> = []
  let bytes = 0
  for (let i = -compiled; i < requests; i++) {
    const began = performance.now()
    const { body } = yield* get(address, "/")
    if (i >= 0) millis.push(performance.now() - began)
    bytes = body.length
    yield* Effect.sleep(pause)
  }
  const sorted = millis.toSorted((a, b) => a - b)
  const row: Row = {
    "the status page": plain(`${ManyDatabases.databases} databases, ${ManyDatabases.instances} instances each`),
    size: plain(`${Math.round(bytes / 1024)} KiB`),
    requests: plain(String(requests)),
    fastest: plain(milliseconds(sorted[0]!)),
    median: atMost(sorted[requests / 2]!, medianMax, milliseconds),
    slowest: plain(milliseconds(sorted.at(-1)!))
  }
  return [row]
}).pipe(Effect.scoped)
