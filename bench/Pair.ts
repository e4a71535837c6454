/** Two real daemons on an fs bucket that have the same entries, and the processor time that they use. */
import { Effect, FileSystem } from "effect"
import { ChildProcess } from "effect/process"
import * as os from "node:os"
import * as Bundle from "./Bundle.ts"
import * as Child from "./Child.ts"
import * as Daemon from "./Daemon.ts"
import { cpuMillis } from "./Proc.ts"
import { LatencyResult } from "./Results.ts"
import * as Workspace from "./Workspace.ts"

export interface Pair {
  readonly a: Daemon.Daemon
  readonly b: Daemon.Daemon
  /** Paths of the LMDBs of both. */
  readonly paths: readonly [string, string]
  readonly bucket: string
}

/** Starts both daemons with copies of the LMDB. They are stopped when `use` ends. If one ends before, this fails. */
export const run = Effect.fn("Pair.run")(function* <A, E, R>(
  workspace: Workspace.Workspace,
  options: Pick<Daemon.DaemonOptions, "poll" | "deltas">,
  use: (pair: Pair) => Effect.Effect<A, E, R>
) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ directory: workspace.directory, prefix: "pair-" })
  const bucket = `${directory}/bucket`
  yield* fs.makeDirectory(bucket)
  const paths = [`${directory}/a.mdb`, `${directory}/b.mdb`] as const
  for (const path of paths) yield* Workspace.copy(workspace.lmdb, path)
  const both = { ...options, bucket, directory, mode: workspace.mode }
  const a = yield* Daemon.start(Bundle.command, { ...both, instance: "a", lmdb: paths[0] })
  const b = yield* Daemon.start(Bundle.command, { ...both, instance: "b", lmdb: paths[1] })
  return yield* Effect.raceAllFirst([use({ a, b, paths, bucket }), a.ended, b.ended])
}, Effect.scoped)

const latency = new URL("./latency.ts", import.meta.url)

/**
 * Makes changes in either LMDB in turn, and returns the times in milliseconds until each was visible in the other one,
 * in ascending order. The pauses between them are at least that long, and at most twice as long.
 */
export const change = (paths: readonly [string, string], count: number, pauseMillis: number) =>
  Effect.map(Child.run(latency, [...paths, String(count), String(pauseMillis)], LatencyResult), ({ report }) =>
    report.millis.toSorted((x, y) => x - y)
  )

/** Returns the sizes in bytes of the objects in the bucket, by name. */
export const objects = Effect.fnUntraced(function* ({ bucket }: Pair) {
  const fs = yield* FileSystem.FileSystem
  const names = (yield* fs.readDirectory(bucket)).filter((name) => name.startsWith("main__"))
  const sizes = yield* Effect.forEach(names, (name) => Workspace.sizeOf(`${bucket}/${name}`))
  return new Map(names.map((name, i) => [name, sizes[i]!]))
})

/** Returns the processor time of both daemons together in milliseconds. */
export const cpu = ({ a, b }: Pair) =>
  Effect.map(Effect.all([cpuMillis(a.pid), cpuMillis(b.pid)]), ([ofA, ofB]) => ofA + ofB)

/**
 * Keeps all cores busy at the lowest priority until the scope closes. The polls of idle daemons otherwise take several
 * times as much processor time, because a core that has slept begins slowly, and that differs from pause to pause.
 */
export const awake = Effect.gen(function* () {
  for (let core = 0; core < os.availableParallelism(); core++)
    yield* ChildProcess.make("nice", ["-n", "19", process.execPath, "-e", "for (;;);"], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit"
    })
})

/** Returns the processor time of both daemons during a pause in milliseconds. */
export const cpuInPause = Effect.fnUntraced(function* (pair: Pair, seconds: number) {
  const before = yield* cpu(pair)
  yield* Effect.sleep(`${seconds} seconds`)
  return (yield* cpu(pair)) - before
})

/**
 * Returns the processor time that `use` costs both daemons: what they use, less what they use in the same time of the
 * pauses before and after it. The polls vary by more than a small change costs, so it is repeated. Returns the
 * milliseconds of each round.
 */
export const costOf = Effect.fnUntraced(function* <E, R>(
  pair: Pair,
  rounds: number,
  pauseSeconds: number,
  use: Effect.Effect<unknown, E, R>
) {
  const samples: Array<number> = []
  let before = yield* cpuInPause(pair, pauseSeconds)
  for (let round = 0; round < rounds; round++) {
    const [started, began] = [yield* cpu(pair), performance.now()]
    yield* use
    const [used, pauses] = [(yield* cpu(pair)) - started, (performance.now() - began) / 1000 / pauseSeconds]
    const after = yield* cpuInPause(pair, pauseSeconds)
    samples.push(used - ((before + after) / 2) * pauses)
    before = after
  }
  return samples
})
