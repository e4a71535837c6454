/**
 * A daemon beside an application that uses the same LMDB, with a way to wait until the daemon waits for the
 * application.
 */
import { Effect, FileSystem } from "effect"
import * as Application from "./Application.ts"
import * as Daemon from "./Daemon.ts"
import { read } from "./fixtures/Golden.ts"

export type StartOptions = Pick<Daemon.DaemonOptions, "under" | "env">

const snapshot = "main__other__20250101-000000-000000000__GX.pb.gz"

/** Starts an application with one entry, and a daemon beside it. `settings` take precedence. */
export const startSide = Effect.fnUntraced(function* (settings: object = {}, options: StartOptions = {}) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "ending-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  const path = `${directory}/main.lmdb`
  const application = yield* Application.open(path)
  yield* application.put("ours", "1", 1n)
  const config = {
    ...Daemon.quick,
    instance: "ours",
    lmdbs: { main: Daemon.nativeFile(path) },
    storage: Daemon.folderBucket(bucket),
    ...settings
  }
  const start = Daemon.start({ args: ["sync"], config, ...options })
  return { application, bucket, config, daemon: yield* start, start }
})

export const debugging = { log: { ...Daemon.quick.log, level: "debug" } }

/** Stores a snapshot atomically, as the daemon of another instance does. */
const deliver = Effect.fnUntraced(function* (bucket: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFile(`${bucket}/${snapshot}.tmp`, yield* read("ok/native-small.pb.gz"))
  yield* fs.rename(`${bucket}/${snapshot}.tmp`, `${bucket}/${snapshot}`)
})

/** Waits until the daemon is in a merge that waits for the write lock, which the application holds. */
export const startWaiting = Effect.fnUntraced(function* (options: StartOptions = {}) {
  const side = yield* startSide(debugging, options)
  const { application, bucket, daemon } = side
  yield* daemon.logged("Initial sync complete")
  yield* application.send({ do: "hold" })
  yield* deliver(bucket)
  const downloaded = yield* daemon.logged("Snapshot downloaded")
  yield* daemon.logged("asking for the write lock", undefined, daemon.log.indexOf(downloaded))
  return side
})
