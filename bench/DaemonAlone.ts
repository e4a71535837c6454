/**
 * One real daemon, whose empty LMDB is being written to by another process when it starts: that one has the write lock for three seconds. Then the daemon
 * merges what is in the bucket, all of it in one transaction.
 */
import { Effect, FileSystem } from "effect"
import * as SnapshotName from "../src/domain/SnapshotName.ts"
import * as Bundle from "./Bundle.ts"
import * as Daemon from "./Daemon.ts"
import * as InProcess from "./InProcess.ts"
import * as LockHolder from "./LockHolder.ts"
import * as LoopOfDaemon from "./LoopOfDaemon.ts"
import { plain, type Row, seconds } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

const heldMillis = 3000

const objectName = SnapshotName.format({ database: "main", instance: "other", timestampNano: 1_700_000_000_000_000_000n, extension: "pb.gz" })

/** Milliseconds until it was ready, from when the lock was held. */
const untilReady = Effect.fnUntraced(function*(options: Daemon.DaemonOptions) {
  yield* LockHolder.hold(options.lmdb, heldMillis)
  const began = performance.now()
  const daemon = yield* Daemon.start(Bundle.command, options)
  yield* Effect.raceFirst(daemon.ready, daemon.ended)
  return performance.now() - began
}, Effect.scoped)

export const run = Effect.fn("DaemonAlone.run")(function*(workspace: Workspace.Workspace) {
  const fs = yield* FileSystem.FileSystem
  const { entries, snapshot, target } = workspace
  const folder = yield* fs.makeTempDirectoryScoped({ directory: workspace.folder, prefix: "alone-" })
  const bucket = `${folder}/bucket`
  yield* fs.makeDirectory(bucket)
  yield* fs.copyFile(snapshot, `${bucket}/${objectName}`)
  yield* Workspace.makeEmpty(target)
  const { columns, value: millis } = yield* LoopOfDaemon.during(folder, (env) =>
    untilReady({ instance: "a", lmdb: target, bucket, folder, poll: "1s", env }), InProcess.blockedFigure)
  if (millis < heldMillis) return yield* new InProcess.WrongOutcome({ scenario: "a daemon alone", problem: `ready after ${millis} ms, with the lock held` })
  yield* InProcess.floorOf(entries, "walk", target)
  yield* Workspace.remove(target)
  const row: Row = {
    "a daemon alone": plain(`write lock held for ${heldMillis / 1000} s, then a first load`),
    entries: plain(entries.toLocaleString("en")),
    "start to ready": plain(seconds(millis)),
    ...columns
  }
  return row
}, Effect.scoped)
