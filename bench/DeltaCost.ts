/**
 * Measures what one changed record costs two real daemons on an fs bucket that have the same entries: bytes, processor
 * time of both sides, and the time until the change is visible.
 */
import { Effect, FileSystem } from "effect"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as Daemon from "./Daemon.ts"
import { cpuSeconds } from "./Proc.ts"
import { LatencyResult } from "./Results.ts"
import { atMost, milliseconds, plain, type Row, seconds } from "./Table.ts"
import * as Workspace from "./Workspace.ts"

const latency = new URL("./latency.ts", import.meta.url)

const changes = 20
const pollMillis = 100
/** Minimum time between two changes. The maximum is twice as long. */
const pauseMillis = 400

const change = (a: string, b: string, count: number) =>
  Effect.map(Child.run(latency, [a, b, String(count), String(pauseMillis)], LatencyResult), ({ report }) =>
    report.millis.toSorted((x, y) => x - y)
  )

/** Returns the sizes in bytes of the objects in a bucket, by name. */
export const objectsIn = Effect.fnUntraced(function* (bucket: string) {
  const fs = yield* FileSystem.FileSystem
  const names = (yield* fs.readDirectory(bucket)).filter((name) => name.startsWith("main__"))
  const sizes = yield* Effect.forEach(names, (name) => Workspace.sizeOf(`${bucket}/${name}`))
  return new Map(names.map((name, i) => [name, sizes[i]!]))
})

/** Returns the processor time of both processes together in seconds. */
export const cpuOf = (a: Daemon.Daemon, b: Daemon.Daemon) =>
  Effect.map(Effect.all([cpuSeconds(a.pid), cpuSeconds(b.pid)]), ([ofA, ofB]) => ofA + ofB)

/** Measures the cost of the changes, less what both daemons use while nothing happens. */
const measure = Effect.fnUntraced(function* (
  bucket: string,
  [a, b]: readonly [Daemon.Daemon, Daemon.Daemon],
  paths: readonly [string, string]
) {
  const restSeconds = 5
  // Waits until each daemon has merged the first snapshots of the other, and deltas are sent in both directions.
  yield* change(...paths, 4)
  yield* Effect.sleep("5 seconds")
  const idle = yield* cpuOf(a, b)
  yield* Effect.sleep(`${restSeconds} seconds`)
  const before = yield* cpuOf(a, b)
  const known = yield* objectsIn(bucket)
  const began = performance.now()
  const times = yield* change(...paths, changes)
  const usual = ((before - idle) / restSeconds) * ((performance.now() - began) / 1000)
  const cpu = (yield* cpuOf(a, b)) - before - usual
  const stored = Array.from(yield* objectsIn(bucket)).filter(([name]) => !known.has(name))
  return { times, cpu, stored }
})

export const run = Effect.fn("DeltaCost.run")(function* (workspace: Workspace.Workspace) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ directory: workspace.directory, prefix: "deltas-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  const paths = [`${directory}/a.mdb`, `${directory}/b.mdb`] as const
  for (const path of paths) yield* Workspace.copy(workspace.lmdb, path)
  const both = { bucket, directory, poll: `${pollMillis}ms`, mode: workspace.mode }
  const a = yield* Daemon.start(Bundle.command, { ...both, instance: "a", lmdb: paths[0] })
  const b = yield* Daemon.start(Bundle.command, { ...both, instance: "b", lmdb: paths[1] })
  const { cpu, stored, times } = yield* Effect.raceAllFirst([measure(bucket, [a, b], paths), a.ended, b.ended])
  const deltas = stored.filter(([name]) => name.includes(".pbd."))
  const largest = Math.max(...deltas.map(([, size]) => size))
  const row: Row = {
    "one changed record": plain(`${workspace.mode} mode`),
    entries: plain(workspace.entries.toLocaleString("en")),
    "deltas, full snapshots": plain(`${deltas.length}, ${stored.length - deltas.length}`),
    "largest delta": atMost(largest, 1_000, (bytes) => `${bytes} bytes`),
    "CPU of both sides together": atMost((1000 * cpu) / (changes + 1), 40, milliseconds),
    "change to visible, median": plain(seconds(times[times.length >> 1]!)),
    longest: plain(seconds(times.at(-1)!))
  }
  return row
}, Effect.scoped)
