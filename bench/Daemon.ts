/** Starts the real command as a process of its own, as an operator would: `lightningstream --config FILE sync`. */
import { Data, Deferred, Effect, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"
import type { ChildProcessHandle } from "effect/process/ChildProcessSpawner"
import type { Mode } from "./Workspace.ts"

export interface DaemonOptions {
  readonly instance: string
  /** The LMDB's data file. */
  readonly lmdb: string
  /** Directory of the objects, or URL of an S3 server. */
  readonly bucket: string
  /** Where the configuration and large spooled snapshots go. */
  readonly directory: string
  /** Of LMDB and of the bucket. */
  readonly poll: string
  /** Of the values; native if it is absent. */
  readonly mode?: Mode
  /** `delta_snapshots`; the default if it is absent. */
  readonly deltas?: "always" | "never"
  /** Where it serves its pages; absent: nowhere. */
  readonly http?: string
  /** Variables beside this process's own. */
  readonly env?: Readonly<Record<string, string>>
}

export class DaemonEnded extends Data.TaggedError("DaemonEnded")<{
  readonly instance: string
  readonly how: string
  readonly log: string
}> {
  override get message(): string {
    return `the daemon of instance ${this.instance} ended: ${this.how}. Its last lines:\n${this.log}`
  }
}

export interface Daemon {
  readonly instance: string
  readonly pid: number
  /** What was in the bucket is merged, and ours is stored: by its log. */
  readonly ready: Effect.Effect<void>
  /** It has merged a snapshot of another instance: by its log. */
  readonly merged: Effect.Effect<void>
  /** Number of objects that it has merged so far. */
  readonly merges: () => number
  /** Never succeeds; fails when the daemon ends by itself. */
  readonly ended: Effect.Effect<never, DaemonEnded>
}

const storageOf = ({ bucket }: DaemonOptions) =>
  bucket.startsWith("http:")
    ? { type: "s3", options: { endpoint_url: bucket, bucket: "bucket", access_key: "a", secret_key: "s" } }
    : { type: "fs", options: { root_path: bucket } }

/** JSON is YAML. */
const configuration = (options: DaemonOptions): string =>
  JSON.stringify(
    {
      instance: options.instance,
      lmdb_poll_interval: options.poll,
      storage_poll_interval: options.poll,
      spool_directory: options.directory,
      lmdbs: {
        main: { path: options.lmdb, options: { no_subdir: true }, schema_tracks_changes: options.mode !== "shadow" }
      },
      storage: storageOf(options),
      ...(options.deltas !== undefined && { delta_snapshots: options.deltas }),
      ...(options.http !== undefined && { http: { address: options.http } })
    },
    null,
    2
  )

const linesKept = 20

/** Keeps the last lines of its log, sees when it is ready, and drains the pipe so that logging never stops it. */
const follow = Effect.fnUntraced(function* (handle: ChildProcessHandle) {
  const lines: Array<string> = []
  const ready = yield* Deferred.make<void>()
  const merged = yield* Deferred.make<void>()
  let merges = 0
  yield* Effect.forkScoped(
    handle.stderr.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) =>
        Effect.suspend(() => {
          lines.push(line)
          if (lines.length > linesKept) lines.shift()
          if (line.includes("Initial sync complete")) return Deferred.succeed(ready, undefined)
          if (!line.includes("Loaded remote update")) return Effect.void
          merges++
          return Deferred.succeed(merged, undefined)
        })
      ),
      Effect.ignore
    )
  )
  return { lines, ready: Deferred.await(ready), merged: Deferred.await(merged), merges: () => merges }
})

/** Told to stop (SIGTERM, by its process id) when the scope closes; killed if it has not within 15 s. */
export const start = Effect.fn("Daemon.start")(function* (command: URL, options: DaemonOptions) {
  const file = `${options.directory}/${options.instance}.yaml`
  yield* (yield* FileSystem.FileSystem).writeFileString(file, configuration(options))
  const handle = yield* ChildProcess.make(process.execPath, [command.pathname, "--config", file, "sync"], {
    stdin: "ignore",
    stdout: "ignore",
    env: { ...options.env },
    extendEnv: true,
    forceKillAfter: "15 seconds"
  })
  const { lines, merged, merges, ready } = yield* follow(handle)
  const daemon: Daemon = {
    instance: options.instance,
    pid: handle.pid,
    ready,
    merged,
    merges,
    ended: handle.exitCode.pipe(
      Effect.map((code) => `exit code ${code}`),
      // The spawner has no code of a process that a signal has ended.
      Effect.orElseSucceed(() => "killed by a signal"),
      Effect.flatMap((how) => Effect.fail(new DaemonEnded({ instance: options.instance, how, log: lines.join("\n") })))
    )
  }
  return daemon
})
