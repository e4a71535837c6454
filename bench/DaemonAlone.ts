/**
 * Measures one real daemon, whose empty LMDB another process writes to when it starts: that process holds the write
 * lock for three seconds. Then the daemon merges the content of the bucket in one transaction.
 */
import { Effect, FileSystem } from "effect"
import * as SnapshotName from "../src/domain/snapshot/SnapshotName.ts"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as Daemon from "./Daemon.ts"
import * as InProcess from "./InProcess.ts"
import * as LockHolder from "./LockHolder.ts"
import { plain, type Row, seconds } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

const heldMillis = 3000

const objectName = SnapshotName.format({
  database: "main",
  instance: "other",
  timestampNano: 1_700_000_000_000_000_000n,
  format: "gzip"
})

/** Returns the time in milliseconds from when the lock was held until the daemon was ready. */
const untilReady = Effect.fnUntraced(function* (options: Daemon.DaemonOptions) {
  yield* LockHolder.hold(options.lmdb, heldMillis)
  const began = performance.now()
  const daemon = yield* Daemon.start(Bundle.command, options)
  yield* Effect.raceFirst(daemon.ready, daemon.ended)
  return performance.now() - began
}, Effect.scoped)

/** Number of other objects in the bucket, which are not snapshots. */
const others = 1000

const bucketProcess = new URL("./bucket.ts", import.meta.url)

/** Returns the bucket that contains the snapshot: a directory, or an S3 server in a separate process. */
const bucketOf = Effect.fnUntraced(function* (kind: "fs" | "s3", directory: string, snapshot: string) {
  const fs = yield* FileSystem.FileSystem
  if (kind === "s3")
    return `http://127.0.0.1:${yield* Child.firstLine(bucketProcess, [objectName, snapshot, String(others)])}`
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  yield* fs.copyFile(snapshot, `${bucket}/${objectName}`)
  return bucket
})

const titles = {
  fs: `write lock held for ${heldMillis / 1000} s, then a first load`,
  s3: `the same from S3, with ${others.toLocaleString("en")} other objects`
}

export const run = Effect.fn("DaemonAlone.run")(function* (workspace: Workspace.Workspace, kind: "fs" | "s3") {
  const fs = yield* FileSystem.FileSystem
  const { entries, snapshot, target } = workspace
  const directory = yield* fs.makeTempDirectoryScoped({ directory: workspace.directory, prefix: "alone-" })
  const bucket = yield* bucketOf(kind, directory, snapshot)
  yield* Workspace.makeEmpty(target)
  const millis = yield* untilReady({ instance: "a", lmdb: target, bucket, directory, poll: "1s" })
  if (millis < heldMillis)
    return yield* new InProcess.WrongOutcome({
      scenario: "a daemon alone",
      problem: `ready after ${millis} ms, with the lock held`
    })
  yield* InProcess.floorOf(entries, "walk", target)
  yield* Workspace.remove(target)
  const row: Row = {
    "a daemon alone": plain(titles[kind]),
    entries: plain(entries.toLocaleString("en")),
    "start to ready": plain(seconds(millis))
  }
  return row
}, Effect.scoped)
