/** Starts the real command as a separate process, as an operator would: `lightningstream --config FILE sync`. */
import { Data, Deferred, Effect, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"
import type { ChildProcessHandle } from "effect/process/ChildProcessSpawner"
import type { Mode } from "./Workspace.ts"

export interface DaemonOptions {
  readonly instance: string
  /** Path of the LMDB's data file. */
  readonly lmdb: string
  /** Directory of the objects, or URL of an S3 server. */
  readonly bucket: string
  /** Directory of the configuration and of large spooled snapshots. */
  readonly directory: string
  /** Interval of the polls of LMDB and of the bucket. */
  readonly poll: string
  /** Mode of the database. Native if absent. */
  readonly mode?: Mode
  /** Value of `delta_snapshots`. The default if absent. */
  readonly deltas?: "always" | "never"
  /** Address of the status page and metrics. None if absent. */
  readonly http?: string
  /** Environment variables in addition to those of this process. */
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
  /** Waits until its log shows that it has merged what was in the bucket and has stored its own snapshot. */
  readonly ready: Effect.Effect<void>
  /** Waits until its log shows that it has merged a snapshot of another instance. */
  readonly merged: Effect.Effect<void>
  /** Number of objects that it has merged so far. */
  readonly merges: () => number
  /** Fails when the daemon ends by itself, and never succeeds. */
  readonly ended: Effect.Effect<never, DaemonEnded>
}

const storageOf = ({ bucket }: DaemonOptions) =>
  bucket.startsWith("http:")
    ? { type: "s3", options: { endpoint_url: bucket, bucket: "bucket", access_key: "a", secret_key: "s" } }
    : { type: "fs", options: { root_path: bucket } }

/** Returns the configuration as JSON, which YAML includes. */
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

/**
 * Keeps the last lines of the log, detects events in it, and drains the pipe so that logging never blocks the daemon.
 */
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

/** Writes the configuration, and returns the path of its file. */
export const configure = Effect.fnUntraced(function* (options: DaemonOptions) {
  const file = `${options.directory}/${options.instance}.yaml`
  yield* (yield* FileSystem.FileSystem).writeFileString(file, configuration(options))
  return file
})

/** Starts a daemon. When the scope closes, it is stopped with SIGTERM, and killed if it has not ended within 15 s. */
export const start = Effect.fn("Daemon.start")(function* (command: URL, options: DaemonOptions) {
  const file = yield* configure(options)
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
      // The spawner fails for a process that a signal has ended, because it has no exit code.
      Effect.orElseSucceed(() => "killed by a signal"),
      Effect.flatMap((how) => Effect.fail(new DaemonEnded({ instance: options.instance, how, log: lines.join("\n") })))
    )
  }
  return daemon
})
