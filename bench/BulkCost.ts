/**
 * Measures what a change of many records costs two real daemons on an fs bucket that have the same entries, with and
 * without deltas: bytes, and processor time of both sides. A change of half of the entries should cost hardly more than
 * a full snapshot.
 */
import { Effect, FileSystem } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Daemon from "./Daemon.ts"
import { cpuOf, objectsIn } from "./DeltaCost.ts"
import { atMost, plain, type Row, seconds, times } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

/** Shares of all entries that are changed, in percent. */
const shares = [1, 10, 50]

/** Maximum cost with deltas, relative to that of full snapshots. */
const dearer = 1.1

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`

interface Cost {
  readonly bytes: number
  /** Processor time of both sides together in seconds, less what they use while nothing happens. */
  readonly cpu: number
  readonly deltas: number
  readonly fulls: number
}

const pauseSeconds = 4

/** Processor time of both daemons in a pause, in seconds, below which they only poll. */
const idleMax = 0.5

const usedInPause = Effect.fnUntraced(function* (daemons: readonly [Daemon.Daemon, Daemon.Daemon]) {
  const before = yield* cpuOf(...daemons)
  yield* Effect.sleep(`${pauseSeconds} seconds`)
  return (yield* cpuOf(...daemons)) - before
})

/** Waits until both daemons have finished all work. */
const settle = (daemons: readonly [Daemon.Daemon, Daemon.Daemon]) =>
  Effect.repeat(usedInPause(daemons), { while: (used) => used >= idleMax })

const measure = Effect.fnUntraced(function* (
  workspace: Workspace.Workspace,
  { bucket, count, path }: { readonly bucket: string; readonly count: number; readonly path: string },
  [a, b]: readonly [Daemon.Daemon, Daemon.Daemon]
) {
  yield* Effect.all([a.ready, b.ready])
  yield* settle([a, b])
  const idle = (yield* usedInPause([a, b])) / pauseSeconds
  const known = yield* objectsIn(bucket)
  const mergesBefore = b.merges()
  const before = yield* cpuOf(a, b)
  const began = performance.now()
  yield* Workspace.generate(path, workspace.domains, ["--change", String(count)])
  yield* Effect.sleep("100 millis").pipe(Effect.repeat({ while: () => b.merges() === mergesBefore }))
  yield* settle([a, b])
  const usual = (idle * (performance.now() - began)) / 1000
  const cpu = (yield* cpuOf(a, b)) - before - usual
  const stored = Array.from(yield* objectsIn(bucket)).filter(([name]) => !known.has(name))
  const deltas = stored.filter(([name]) => name.includes(".pbd.")).length
  const bytes = stored.reduce((sum, [, size]) => sum + size, 0)
  return { bytes, cpu, deltas, fulls: stored.length - deltas } satisfies Cost
})

const costOf = Effect.fnUntraced(function* (workspace: Workspace.Workspace, count: number, deltas: "always" | "never") {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ directory: workspace.directory, prefix: "bulk-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  const paths = [`${directory}/a.mdb`, `${directory}/b.mdb`] as const
  for (const path of paths) yield* Workspace.copy(workspace.lmdb, path)
  const both = { bucket, directory, poll: "100ms", mode: workspace.mode, deltas }
  const a = yield* Daemon.start(Bundle.command, { ...both, instance: "a", lmdb: paths[0] })
  const b = yield* Daemon.start(Bundle.command, { ...both, instance: "b", lmdb: paths[1] })
  const measured = measure(workspace, { bucket, count, path: paths[0] }, [a, b])
  return yield* Effect.raceAllFirst([measured, a.ended, b.ended])
}, Effect.scoped)

const median = (costs: ReadonlyArray<Cost>, of: (cost: Cost) => number): number =>
  costs.map(of).toSorted((x, y) => x - y)[costs.length >> 1]!

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
    const full = { bytes: median(fulls, ({ bytes }) => bytes), cpu: median(fulls, ({ cpu }) => cpu) }
    const cost = { bytes: median(costs, ({ bytes }) => bytes), cpu: median(costs, ({ cpu }) => cpu) }
    rows.push({
      "changed at once": plain(`${share} % of all entries, ${workspace.mode} mode`),
      entries: plain(workspace.entries.toLocaleString("en")),
      "deltas, full snapshots": plain(
        `${median(costs, ({ deltas }) => deltas)}, ${median(costs, ({ fulls }) => fulls)}`
      ),
      bytes: plain(megabytes(cost.bytes)),
      "without deltas": plain(megabytes(full.bytes)),
      "bytes, of that": atMost(cost.bytes / full.bytes, dearer, times),
      "CPU of both sides": plain(seconds(1000 * cost.cpu)),
      "CPU without deltas": plain(seconds(1000 * full.cpu)),
      "CPU, of that": atMost(cost.cpu / full.cpu, dearer, times)
    })
  }
  return rows
})
