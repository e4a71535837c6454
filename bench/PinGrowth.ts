/**
 * Measures by how much the data file of an application that writes all the time is larger with a daemon: the daemon
 * keeps a read transaction open, and LMDB does not reuse the pages that it can reach.
 */
import { Effect, FileSystem } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as Daemon from "./Daemon.ts"
import { cpuSeconds } from "./Proc.ts"
import { WriterReport } from "./Results.ts"
import { atMost, plain, type Row, times } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

const writer = new URL("./writer.ts", import.meta.url)

const seconds = 20

const write = (lmdb: string, perSecond: number) =>
  Effect.map(Child.run(writer, [lmdb, String(seconds), String(perSecond)], WriterReport), ({ report }) => report)

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

export const run = Effect.fn("PinGrowth.run")(function* (workspace: Workspace.Workspace, perSecond: number) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ directory: workspace.directory, prefix: "growth-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  const lmdb = `${directory}/a.mdb`
  yield* Workspace.copy(workspace.lmdb, lmdb)
  const alone = yield* write(lmdb, perSecond)
  yield* Workspace.copy(workspace.lmdb, lmdb)
  const beside = yield* Effect.scoped(
    Effect.gen(function* () {
      const options = { instance: "a", lmdb, bucket, directory, poll: "1s" }
      const daemon = yield* Daemon.start(Bundle.command, options)
      yield* Effect.raceFirst(daemon.ready, daemon.ended)
      const before = yield* cpuSeconds(daemon.pid)
      const report = yield* Effect.raceFirst(write(lmdb, perSecond), daemon.ended)
      return { ...report, cpu: (yield* cpuSeconds(daemon.pid)) - before }
    })
  )
  const row: Row = {
    "constant writes": plain(`${perSecond} transactions/s`),
    entries: plain(workspace.entries.toLocaleString("en")),
    transactions: plain(`${alone.transactions}, ${beside.transactions}`),
    "file without a daemon": plain(`${megabytes(alone.before)} → ${megabytes(alone.after)}`),
    "file beside a daemon": plain(`${megabytes(beside.before)} → ${megabytes(beside.after)}`),
    "beside / without": atMost(beside.after / alone.after, 1.1, times),
    "CPU of the daemon": plain(`${((100 * beside.cpu) / seconds).toFixed(0)} % of a core`)
  }
  return row
}, Effect.scoped)
