/**
 * Scenarios of two real daemons on an fs bucket that have the same entries. They are first idle, and then changes are
 * made in either LMDB.
 */
import { Effect, FileSystem } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as Daemon from "./Daemon.ts"
import * as LoopOfDaemon from "./LoopOfDaemon.ts"
import * as Pair from "./Pair.ts"
import { cpuSeconds, rssAnon } from "./Proc.ts"
import { median } from "./Statistics.ts"
import { atMost, megabytes, plain, type Row, seconds } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

interface Options {
  readonly pollMillis: number
  /** Number of changes that are measured. */
  readonly changes: number
  /** Maximum of the median time in milliseconds, or undefined if there is no goal. */
  readonly limit: number | undefined
}

const idleSeconds = 10

/** Returns the share of a core that a process uses while nothing happens. */
const idleShare = Effect.fnUntraced(function* (pid: number) {
  const before = yield* cpuSeconds(pid)
  yield* Effect.sleep(`${idleSeconds} seconds`)
  return ((yield* cpuSeconds(pid)) - before) / idleSeconds
})

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

/** Measures an idle daemon of the pair, after its first snapshots were sent and merged. */
const idle = Effect.fnUntraced(function* (daemon: Daemon.Daemon) {
  yield* Effect.sleep("3 seconds")
  const share = yield* idleShare(daemon.pid)
  return { share, memory: yield* rssAnon(daemon.pid) }
})

const directories = Effect.fnUntraced(function* (parent: string) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ directory: parent, prefix: "pair-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  return { directory, bucket }
})

export const run = Effect.fn("DaemonPair.run")(function* (
  workspace: Workspace.Workspace,
  { changes: count, limit, pollMillis }: Options
) {
  const { bucket, directory } = yield* directories(workspace.directory)
  const [lmdbA, lmdbB] = [`${directory}/a.mdb`, `${directory}/b.mdb`]
  for (const lmdb of [lmdbA, lmdbB]) yield* Workspace.copy(workspace.lmdb, lmdb)
  const both = { bucket, directory, poll: `${pollMillis}ms` }
  const peak: [number] = [0]
  const measure = Effect.fnUntraced(function* (env: Readonly<Record<string, string>>) {
    const a = yield* Daemon.start(Bundle.command, { ...both, instance: "a", lmdb: lmdbA })
    const b = yield* Daemon.start(Bundle.command, { ...both, instance: "b", lmdb: lmdbB, env })
    const run = Effect.gen(function* () {
      // The daemons are ready when a change has reached the other one.
      yield* Pair.change([lmdbA, lmdbB], 0, pollMillis)
      yield* LoopOfDaemon.isReady(b.pid)
      // V8 compiles and collects garbage for a while after the work is done, which is not typical of a long idle time.
      yield* Effect.sleep("15 seconds")
      const rest = yield* idle(a)
      return { rest, times: yield* Pair.change([lmdbA, lmdbB], count, pollMillis) }
    })
    return yield* Effect.raceAllFirst([run, a.ended, b.ended, Child.samplePeak(a.pid, peak)])
  }, Effect.scoped)
  const {
    columns,
    value: { rest, times }
  } = yield* LoopOfDaemon.during(directory, measure)
  const row: Row = {
    "two daemons": plain(`polls of ${pollMillis < 1000 ? `${pollMillis} ms` : `${pollMillis / 1000} s`}`),
    entries: plain(workspace.entries.toLocaleString("en")),
    changes: plain(String(count)),
    "change to visible, median":
      limit === undefined ? plain(seconds(median(times))) : atMost(median(times), limit, seconds),
    longest: plain(seconds(times.at(-1)!)),
    // The goal applies to the default interval only, because here ten times as many polls are configured.
    "idle, of a core": pollMillis < 1000 ? plain(percent(rest.share)) : atMost(rest.share, 0.01, percent),
    "idle RssAnon": atMost(rest.memory, 70, megabytes),
    "peak RssAnon": plain(megabytes(peak[0])),
    ...columns
  }
  return row
}, Effect.scoped)
