/**
 * Measures a command that ends: `sync --only-once`, which dumps all entries of an LMDB and stores them in an empty fs
 * bucket, as a whole process, and bare Node in turn with it.
 */
import { Effect, FileSystem } from "effect"
import { ChildProcess } from "effect/process"
import * as Bundle from "./Bundle.ts"
import { ChildFailed } from "./Child.ts"
import * as Daemon from "./Daemon.ts"
import { median } from "./Statistics.ts"
import { atMost, milliseconds, plain, type Row } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

/** Number of runs of each. An additional first one does not count, because it fills Node's compile cache. */
const rounds = 15

const ratioMax = 12

/** Runs Node with these arguments, and returns the elapsed milliseconds. */
const elapsed = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const began = performance.now()
  const handle = yield* ChildProcess.make(process.execPath, args, {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore"
  })
  const code = yield* handle.exitCode
  if (code !== 0) return yield* new ChildFailed({ command: args.join(" "), problem: `ended with ${code}` })
  return performance.now() - began
}, Effect.scoped)

export const run = Effect.fn("StartTime.run")(function* (workspace: Workspace.Workspace) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ directory: workspace.directory, prefix: "start-" })
  const bucket = `${directory}/bucket`
  const options = { instance: "a", lmdb: workspace.lmdb, bucket, directory, poll: "1s" }
  const file = yield* Daemon.configure(options)
  const bare: Array<number> = []
  const command: Array<number> = []
  for (let round = 0; round <= rounds; round++) {
    yield* fs.remove(bucket, { recursive: true, force: true })
    yield* fs.makeDirectory(bucket)
    bare.push(yield* elapsed(["-e", "0"]))
    command.push(yield* elapsed([Bundle.command.pathname, "--config", file, "sync", "--only-once"]))
  }
  const [floor, time] = [median(bare.slice(1)), median(command.slice(1))]
  const row: Row = {
    "a whole process": plain("sync --only-once"),
    entries: plain(workspace.entries.toLocaleString("en")),
    time: plain(milliseconds(time)),
    "bare Node": plain(milliseconds(floor)),
    "time / bare Node": atMost(time / floor, ratioMax, (ratio) => ratio.toFixed(1))
  }
  return row
}, Effect.scoped)
