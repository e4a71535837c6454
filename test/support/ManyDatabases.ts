/** A daemon with many real LMDBs and many instances in its bucket, for tests of the status page at its largest. */
import { Effect, FileSystem } from "effect"
import * as Daemon from "./Daemon.ts"
import { eventually } from "./Eventually.ts"
import { addressOf, get } from "./HttpPages.ts"
import { pathOf } from "./servers/RealServers.ts"

export const databases = 64
export const instances = 20

const snapshot = pathOf("../../golden/ok/native-small.pb.gz")

const twoDigits = (value: number) => String(value).padStart(2, "0")

/** Starts the daemon. Returns its address when it has merged a snapshot of each instance into each database. */
export const start = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* fs.makeTempDirectoryScoped({ prefix: "many-databases-" })
  yield* fs.makeDirectory(`${path}/bucket`)
  const names = Array.from({ length: databases }, (_, i) => `shard${twoDigits(i)}`)
  for (const name of names) {
    for (let i = 1; i <= instances; i++)
      yield* fs.copyFile(snapshot, `${path}/bucket/${name}__ns${i}__20250101-0000${twoDigits(i)}-000000000__GX.pb.gz`)
  }
  const lmdb = (name: string) => Daemon.nativeFile(`${path}/${name}`, { create: true, map_size: "1MB" })
  const config = {
    ...Daemon.quick,
    storage_poll_interval: "5s",
    instance: "ns0",
    lmdbs: Object.fromEntries(names.map((name) => [name, lmdb(name)])),
    storage: Daemon.folderBucket(`${path}/bucket`),
    http: { address: "127.0.0.1:0" }
  }
  const address = yield* addressOf(yield* Daemon.start({ args: ["sync"], config, patience: "5 minutes" }))
  yield* eventually(
    "everything is in sync",
    Effect.map(get(address, "/"), ({ body }) => (body.includes("Everything is in sync") ? true : undefined)),
    () => "something else",
    "5 minutes"
  )
  return address
})
