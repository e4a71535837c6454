/**
 * Measures what a change of many records costs two real daemons on an fs bucket that have the same entries, with and
 * without deltas: bytes, and processor time of both sides. A change of half of the entries should cost hardly more than
 * a full snapshot.
 */
import { Effect } from "effect"
import * as Pair from "./Pair.ts"
import { meanOf, quotientOf } from "./Statistics.ts"
import { atMost, plain, type Row, seconds, times } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

/** Shares of all entries that are changed, in percent. */
const shares = [1, 10, 50]

/** Maximum cost with deltas, relative to that of full snapshots. */
const dearer = 1.1

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`

/** Number of changes that each pair of daemons makes. */
const changes = 4

const poll = "2s"
const pauseSeconds = 4

interface Cost {
  /** Processor time of both sides together for each change, in milliseconds. */
  readonly millis: ReadonlyArray<number>
  readonly bytes: number
  readonly deltas: number
  readonly fulls: number
}

/** Waits until both daemons have finished all work: what they use in a pause no longer falls. */
const settle = Effect.fnUntraced(function* (pair: Pair.Pair) {
  let [before, used] = [Infinity, yield* Pair.cpuInPause(pair, pauseSeconds)]
  while (used < 0.75 * before) [before, used] = [used, yield* Pair.cpuInPause(pair, pauseSeconds)]
})

/** Changes so many records, and waits until they are merged on the other side and both have settled. */
const change = Effect.fnUntraced(function* (workspace: Workspace.Workspace, pair: Pair.Pair, count: number) {
  const before = pair.b.merges()
  yield* Workspace.generate(pair.paths[0], workspace.domains, ["--change", String(count)])
  yield* Effect.sleep("100 millis").pipe(Effect.repeat({ while: () => pair.b.merges() === before }))
  yield* settle(pair)
})

const costOf = (workspace: Workspace.Workspace, count: number, deltas: "always" | "never") =>
  Pair.run(
    workspace,
    { poll, deltas },
    Effect.fnUntraced(function* (pair) {
      yield* Effect.all([pair.a.ready, pair.b.ready])
      yield* Pair.awake
      yield* settle(pair)
      const known = yield* Pair.objects(pair)
      const millis = yield* Pair.costOf(pair, changes, pauseSeconds, change(workspace, pair, count))
      const stored = Array.from(yield* Pair.objects(pair)).filter(([name]) => !known.has(name))
      const sent = stored.filter(([name]) => name.includes(".pbd.")).length
      const bytes = stored.reduce((sum, [, size]) => sum + size, 0) / changes
      return { millis, bytes, deltas: sent, fulls: stored.length - sent } satisfies Cost
    }, Effect.scoped)
  )

/** Joins the costs of pairs of daemons that did the same. */
const joined = (costs: ReadonlyArray<Cost>): Cost => ({ ...costs[0]!, millis: costs.flatMap(({ millis }) => millis) })

const rowOf = (workspace: Workspace.Workspace, share: number, cost: Cost, full: Cost): Row => {
  const [spent, without] = [meanOf(cost.millis), meanOf(full.millis)]
  const quotient = quotientOf(spent, without)
  return {
    "changed at once": plain(`${share} % of all entries, ${workspace.mode} mode`),
    entries: plain(workspace.entries.toLocaleString("en")),
    "deltas, full snapshots": plain(`${cost.deltas}, ${cost.fulls}`),
    bytes: plain(megabytes(cost.bytes)),
    "without deltas": plain(megabytes(full.bytes)),
    "bytes, of that": atMost(cost.bytes / full.bytes, dearer, times),
    "CPU of both sides": plain(seconds(spent.mean)),
    "CPU without deltas": plain(seconds(without.mean)),
    "CPU, of that": atMost(quotient.mean, dearer, times),
    "standard error": plain(`± ${times(quotient.error)}`)
  }
}

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
    rows.push(rowOf(workspace, share, joined(costs), joined(fulls)))
  }
  return rows
})
