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

/** Time after which both daemons have finished all work. */
const settleSeconds = 4
const settle = Effect.sleep(`${settleSeconds} seconds`)

const measure = Effect.fnUntraced(function* (
  workspace: Workspace.Workspace,
  { bucket, count, path }: { readonly bucket: string; readonly count: number; readonly path: string },
  [a, b]: readonly [Daemon.Daemon, Daemon.Daemon]
) {
  yield* Effect.all([a.ready, b.ready])
  yield* settle
  const idle = yield* cpuOf(a, b)
  yield* settle
  const known = yield* objectsIn(bucket)
  const mergesBefore = b.merges()
  const before = yield* cpuOf(a, b)
  const began = performance.now()
  yield* Workspace.generate(path, workspace.domains, ["--change", String(count)])
  yield* Effect.sleep("100 millis").pipe(Effect.repeat({ while: () => b.merges() === mergesBefore }))
  yield* settle
  const usual = ((before - idle) / settleSeconds) * ((performance.now() - began) / 1000)
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

export const run = Effect.fn("BulkCost.run")(function* (workspace: Workspace.Workspace) {
  const rows: Array<Row> = []
  for (const share of shares) {
    const count = Math.floor((workspace.entries * share) / 100)
    const full = yield* costOf(workspace, count, "never")
    const cost = yield* costOf(workspace, count, "always")
    rows.push({
      "changed at once": plain(`${share} % of all entries, ${workspace.mode} mode`),
      entries: plain(workspace.entries.toLocaleString("en")),
      "deltas, full snapshots": plain(`${cost.deltas}, ${cost.fulls}`),
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
