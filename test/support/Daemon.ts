/**
 * Runs the real command as a process, with its configuration in a temporary directory. Its log is read line by line. It
 * is killed when the scope closes. The log format is json, which can be parsed without loss.
 */
import { type Duration, Effect, Fiber, FileSystem, Option, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"
import * as os from "node:os"
import { eventually, type NotInTime } from "./Eventually.ts"
import { ProcessFailed } from "./ProcessFailed.ts"
import { pathOf } from "./servers/RealServers.ts"

/**
 * The fields of a line. `msg` is the whole line if it is not JSON, as for a stack trace or an error before the log is
 * set up.
 */
export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly error?: string
  readonly [field: string]: unknown
}

export interface DaemonOptions {
  /** The configuration. An object is written as JSON, which YAML includes, and a text as it is. */
  readonly config: object | string
  /** The subcommand and its options, `sync` by default. */
  readonly args: ReadonlyArray<string>
  /** A program that starts the command, with its arguments, such as setpriv or unshare. */
  readonly under?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /**
   * The timeout of `logged` and `ended`. A test that waits for many things uses a shorter one, so that a failure does
   * not take minutes.
   */
  readonly patience?: Duration.Input
}

export interface Daemon {
  readonly pid: number
  readonly log: ReadonlyArray<LogLine>
  /** The log as it was printed. */
  readonly text: () => string
  /** Waits for a line with this message, from line `from` on. */
  readonly logged: (
    msg: string,
    matches?: (line: LogLine) => boolean,
    from?: number
  ) => Effect.Effect<LogLine, NotInTime | ProcessFailed>
  readonly signal: (signal: "SIGTERM" | "SIGINT" | "SIGKILL" | "SIGUSR2") => Effect.Effect<void>
  /**
   * Waits for the end. Returns the exit code as a shell does: 128 + the number of the signal for a process that was
   * killed.
   */
  readonly ended: Effect.Effect<number, ProcessFailed>
}

/** Settings with short intervals for tests. All others are the defaults. */
export const quick = {
  lmdb_poll_interval: "100ms",
  storage_poll_interval: "100ms",
  storage_retry_interval: "100ms",
  log: { format: "json" }
} as const

/** A database of the configuration, whose path is the data file. */
export const nativeFile = (path: string, options: object = {}) => ({
  path,
  schema_tracks_changes: true,
  options: { no_subdir: true, ...options }
})

/** A database in shadow mode. */
export const shadowFile = (path: string, options: object = {}) => ({
  ...nativeFile(path, options),
  schema_tracks_changes: false
})

/** Settings with a directory as the bucket. */
export const folderBucket = (root_path: string) => ({ type: "fs", options: { root_path } })

const Fields = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))
const decodeFields = Schema.decodeUnknownOption(Fields)

const parse = (line: string): LogLine =>
  Option.match(decodeFields(line), {
    onNone: () => ({ level: "", msg: line }),
    onSome: (fields) => ({ ...fields, level: String(fields["level"]), msg: String(fields["msg"]) })
  })

/** Only the message of the error contains the signal. */
const codeOfSignal = (error: Error & { readonly cause?: unknown }) => {
  const name = /'(SIG[A-Z]+)'/.exec(`${error.message} ${String(error.cause)}`)?.[1]
  return 128 + (os.constants.signals[name as NodeJS.Signals] ?? 0)
}

export const start = Effect.fnUntraced(function* ({ patience = "45 seconds", ...options }: DaemonOptions) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "daemon-" })
  const file = `${directory}/lightningstream.yaml`
  yield* fs.writeFileString(
    file,
    typeof options.config === "string" ? options.config : JSON.stringify(options.config, undefined, 2)
  )
  const [program, ...args] = [
    ...(options.under ?? []),
    process.execPath,
    "--no-warnings",
    pathOf("../../../bin/lightningstream.js"),
    "-c",
    file,
    ...options.args
  ]
  const handle = yield* ChildProcess.make(program!, args, {
    stdin: "ignore",
    killSignal: "SIGKILL",
    env: { ...options.env },
    extendEnv: true
  })
  const lines: Array<string> = []
  const log: Array<LogLine> = []
  const reading = yield* Effect.forkScoped(
    Stream.runForEach(Stream.splitLines(Stream.decodeText(handle.all)), (line) =>
      Effect.sync(() => {
        lines.push(line)
        log.push(parse(line))
      })
    )
  )
  const text = () => lines.join("\n")

  const logged: Daemon["logged"] = (msg, matches = () => true, from = 0) =>
    eventually(
      `the log says "${msg}"`,
      Effect.gen(function* () {
        const isOver = reading.pollUnsafe() !== undefined
        const found = log.slice(from).find((line) => line.msg.includes(msg) && matches(line))
        if (found === undefined && isOver)
          return yield* new ProcessFailed({ what: `ended without saying "${msg}"`, output: text() })
        return found
      }),
      text,
      patience
    )

  const exitCode = handle.exitCode.pipe(
    Effect.map(Number),
    Effect.catch((error) => Effect.succeed(codeOfSignal(error)))
  )
  const daemon: Daemon = {
    pid: handle.pid,
    log,
    text,
    logged,
    signal: (signal) => Effect.sync(() => void process.kill(handle.pid, signal)),
    ended: Effect.andThen(Fiber.await(reading), exitCode).pipe(
      Effect.timeoutOrElse({ duration: patience, orElse: () => new ProcessFailed({ what: "goes on", output: text() }) })
    )
  }
  return daemon
})

/** Runs a daemon to its end. Returns the exit code and everything that it printed. */
export const run = Effect.fnUntraced(function* (options: DaemonOptions) {
  const daemon = yield* start(options)
  const code = yield* daemon.ended
  return { code, log: daemon.log, text: daemon.text() }
}, Effect.scoped)
