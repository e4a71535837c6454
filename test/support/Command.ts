/**
 * Runs the command as a process from its start to its end, with separate outputs. For daemons, see
 * test/support/Daemon.ts.
 */
import { type Duration, Effect, Fiber, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"
import * as Daemon from "./Daemon.ts"
import { ProcessFailed } from "./ProcessFailed.ts"
import { pathOf } from "./servers/RealServers.ts"

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Arguments of Node. */
  readonly node?: ReadonlyArray<string>
  readonly cwd?: string
  /** A program that starts the command, with its arguments, such as unshare. */
  readonly under?: ReadonlyArray<string>
  /** The time after which the process is killed. */
  readonly patience?: Duration.Input
}

const textOf = <E>(bytes: Stream.Stream<Uint8Array, E>) => Effect.forkScoped(Stream.mkString(Stream.decodeText(bytes)))

/** Runs any program. */
export const execute = Effect.fnUntraced(
  function* (line: ReadonlyArray<string>, { cwd, env }: Pick<CommandOptions, "cwd" | "env" | "patience"> = {}) {
    const [program, ...args] = line
    const handle = yield* ChildProcess.make(program!, args, {
      stdin: "ignore",
      killSignal: "SIGKILL",
      env: { ...env },
      extendEnv: true,
      ...(cwd === undefined ? {} : { cwd })
    })
    const out = yield* textOf(handle.stdout)
    const err = yield* textOf(handle.stderr)
    const code = Number(yield* handle.exitCode)
    return { code, out: yield* Fiber.join(out), err: yield* Fiber.join(err) }
  },
  Effect.scoped,
  (result, line, { patience = "50 seconds" } = {}) =>
    Effect.timeoutOrElse(result, {
      duration: patience,
      orElse: () => new ProcessFailed({ what: `${line[0]} goes on`, output: "" })
    })
)

/** The environment of processes that keep their compiled code below this directory, and not with that of all tests. */
export const ownCompileCache = (directory: string) => ({ NODE_COMPILE_CACHE: "", TMPDIR: directory })

/** The command as it is published. BuildBundle.ts has built it. */
export const bundled = pathOf("../../../bin/lightningstream.js")

/** Builds the bundle again if the sources have changed since the tests began. */
export const bundle = Effect.flatMap(
  execute([process.execPath, pathOf("../../../scripts/build.mjs")]),
  ({ code, err }) => (code === 0 ? Effect.void : new ProcessFailed({ what: `ended with ${code}`, output: err }))
)

/** Runs the command with these arguments. */
export const run = (args: ReadonlyArray<string>, options: CommandOptions = {}) =>
  execute(
    [...(options.under ?? []), process.execPath, "--no-warnings", ...(options.node ?? []), bundled, ...args],
    options
  )

/** Runs the command with the warnings of Node. */
export const runBundled = (args: ReadonlyArray<string>, options: CommandOptions = {}) =>
  execute([process.execPath, bundled, ...args], options)

/** Runs the command in a pipeline of a shell, or with its output redirected, for example `| head -1`. */
export const piped = (redirection: string, ...args: ReadonlyArray<string>) =>
  execute(["bash", "-c", `set -o pipefail; "$0" --no-warnings "$@" ${redirection}`, process.execPath, bundled, ...args])

/** Creates a directory with a configuration in it, which is written as JSON, because YAML includes JSON. */
export const workspace = Effect.fnUntraced(function* (config: (directory: string) => object | string) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "command-" })
  const file = `${directory}/lightningstream.yaml`
  const content = config(directory)
  yield* fs.writeFileString(file, typeof content === "string" ? content : JSON.stringify(content))
  return { directory, file }
})

/** A configuration with one native LMDB, which does not exist yet, and an empty directory as the bucket. */
export const nativeWorkspace = Effect.gen(function* () {
  const made = yield* workspace((directory) => ({
    ...Daemon.quick,
    lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`, { create: true }) },
    storage: Daemon.folderBucket(`${directory}/bucket`)
  }))
  yield* (yield* FileSystem.FileSystem).makeDirectory(`${made.directory}/bucket`)
  return made
})
