/**
 * Measures what a change of many records costs two real daemons on an fs bucket that have the same entries, with and
 * without deltas: bytes, and processor time of both sides. A change of half of the entries should cost hardly more than
 * a full snapshot.
 */
import { Effect } from "effect"
import * as Pair from "./Pair.ts"
import { median } from "./Statistics.ts"
import { atMost, plain, type Row, seconds, times } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

/** Shares of all entries that are changed, in percent. */
const shares = [1, 10, 50]

/** Maximum cost with deltas, relative to that of full snapshots. */
const dearer = 1.1

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`

interface Cost {
  readonly bytes: number
  /** Processor time of both sides together in milliseconds, less what they use while nothing happens. */
  readonly millis: number
  readonly deltas: number
  readonly fulls: number
}

const pauseSeconds = 4

/** Waits until both daemons have finished all work: what they use in a pause no longer falls. */
const settle = Effect.fnUntraced(function* (pair: Pair.Pair) {
  let [before, used] = [Infinity, yield* Pair.cpuInPause(pair, pauseSeconds)]
  while (used < 0.75 * before) [before, used] = [used, yield* Pair.cpuInPause(pair, pauseSeconds)]
})

const measure = Effect.fnUntraced(function* (workspace: Workspace.Workspace, count: number, pair: Pair.Pair) {
  yield* Effect.all([pair.a.ready, pair.b.ready])
  yield* settle(pair)
  const known = yield* Pair.objects(pair)
  const mergesBefore = pair.b.merges()
  const { mean: millis } = yield* Pair.costOf(
    pair,
    1,
    pauseSeconds,
    Effect.gen(function* () {
      yield* Workspace.generate(pair.paths[0], workspace.domains, ["--change", String(count)])
      yield* Effect.sleep("100 millis").pipe(Effect.repeat({ while: () => pair.b.merges() === mergesBefore }))
      yield* settle(pair)
    })
  )
  const stored = Array.from(yield* Pair.objects(pair)).filter(([name]) => !known.has(name))
  const deltas = stored.filter(([name]) => name.includes(".pbd.")).length
  const bytes = stored.reduce((sum, [, size]) => sum + size, 0)
  return { bytes, millis, deltas, fulls: stored.length - deltas } satisfies Cost
})

const costOf = (workspace: Workspace.Workspace, count: number, deltas: "always" | "never") =>
  Pair.run(workspace, { poll: "1s", deltas }, (pair) => measure(workspace, count, pair))

const medianOf = (costs: ReadonlyArray<Cost>, of: (cost: Cost) => number): number => median(costs.map(of))

export const run = Effect.fn("BulkCost.run")(function* (workspace: Workspace.Workspace, rounds: number) {
  const rows: Array<Row> = []
  for (const share of shares) {
    const count = Math.floor((workspace.entries * share) / 100)
    const fulls: Array<Cost> = []
    const costs: Array<Cost> = []
    for (let round = 0; round < rounds; round++) {
      fulls.push(yield* costOf(workspace, count, "never"))
      costs.push(yield* costOf(workspace, count, "always"))
    }
    const full = { bytes: medianOf(fulls, ({ bytes }) => bytes), millis: medianOf(fulls, ({ millis }) => millis) }
    const cost = { bytes: medianOf(costs, ({ bytes }) => bytes), millis: medianOf(costs, ({ millis }) => millis) }
    rows.push({
      "changed at once": plain(`${share} % of all entries, ${workspace.mode} mode`),
      entries: plain(workspace.entries.toLocaleString("en")),
      "deltas, full snapshots": plain(
        `${medianOf(costs, ({ deltas }) => deltas)}, ${medianOf(costs, ({ fulls }) => fulls)}`
      ),
      bytes: plain(megabytes(cost.bytes)),
      "without deltas": plain(megabytes(full.bytes)),
      "bytes, of that": atMost(cost.bytes / full.bytes, dearer, times),
      "CPU of both sides": plain(seconds(cost.millis)),
      "CPU without deltas": plain(seconds(full.millis)),
      "CPU, of that": atMost(cost.millis / full.millis, dearer, times)
    })
  }
  return rows
})
