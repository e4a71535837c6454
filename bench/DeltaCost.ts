/**
 * Measures what one changed record costs two real daemons that have the same entries: bytes, processor time of both
 * sides, and the time until the change is visible.
 */
import { Effect } from "effect"
import * as Pair from "./Pair.ts"
import { meanOf, median } from "./Statistics.ts"
import { atMost, milliseconds, plain, type Row, seconds } from "./Table.ts"
import type * as Workspace from "./Workspace.ts"

/** Number of changes in a round, besides a first one. The times are those of the first round. */
const changes = 20

/** Rounds of changes, and pauses between them, whose processor time is compared. */
const rounds = 6
const pauseSeconds = 12

const change = ({ paths }: Pair.Pair, count: number) => Pair.change(paths, count, 400)

const measure = Effect.fnUntraced(function* (pair: Pair.Pair) {
  // Waits until each daemon has merged the first snapshots of the other, and deltas are sent in both directions.
  yield* change(pair, 4)
  // V8 compiles and collects garbage for a while.
  yield* Effect.sleep("15 seconds")
  const known = yield* Pair.objects(pair)
  const times = yield* change(pair, changes)
  const stored = Array.from(yield* Pair.objects(pair)).filter(([name]) => !known.has(name))
  const { error, mean } = meanOf(yield* Pair.costOf(pair, rounds, pauseSeconds, change(pair, changes)))
  return { times, stored, millis: mean / (changes + 1), error: error / (changes + 1) }
})

export const run = Effect.fn("DeltaCost.run")(function* (workspace: Workspace.Workspace) {
  const { error, millis, stored, times } = yield* Pair.run(workspace, { poll: "100ms" }, measure)
  const deltas = stored.filter(([name]) => name.includes(".pbd."))
  const largest = Math.max(...deltas.map(([, size]) => size))
  const row: Row = {
    "one changed record": plain(`${workspace.mode} mode`),
    entries: plain(workspace.entries.toLocaleString("en")),
    "deltas, full snapshots": plain(`${deltas.length}, ${stored.length - deltas.length}`),
    "largest delta": atMost(largest, 1_000, (bytes) => `${bytes} bytes`),
    "CPU of both sides together": atMost(millis, 40, milliseconds),
    "standard error": plain(`± ${milliseconds(error)}`),
    "change to visible, median": plain(seconds(median(times))),
    longest: plain(seconds(times.at(-1)!))
  }
  return row
})
