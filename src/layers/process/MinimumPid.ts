/**
 * `--minimum-pid`: containers that share an LMDB but number their processes each for itself could meet in LMDB's table
 * of readers, which goes by pid. Below that number, short-lived processes are started until the numbers are used up,
 * then the command runs again as a child, whose pid is large enough. Its exit code is passed on, and signals to it.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous, before anything else of the command is loaded
import { spawn, spawnSync } from "node:child_process"
import * as os from "node:os"
import { Effect } from "effect"

/** What a larger number counts as. */
const largest = 200

/** Set for the child, and by whoever wants no check. */
const skip = "LIGHTNINGSTREAM_NO_PID_CHECK"

const forwarded: ReadonlyArray<NodeJS.Signals> = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"]

/** As shells say it. */
const signalCode = 128

/** Uses numbers up. Gives up when they do not grow: they have started over. */
const useNumbers = (minimum: number): boolean => {
  for (let last = process.pid; last < minimum;) {
    const { pid } = spawnSync(process.execPath, ["--version"], { stdio: "ignore" })
    if (pid <= last) return false
    last = pid
  }
  return true
}

const runAgain = Effect.callback<number>((resume) => {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: "inherit",
    // Not in the terminal's foreground group: Ctrl-C would reach it twice.
    detached: true,
    env: { ...process.env, [skip]: "1" }
  })
  const forward = (signal: NodeJS.Signals) => void child.kill(signal)
  for (const signal of forwarded) process.on(signal, forward)
  child.on("error", (error) => resume(Effect.die(error)))
  child.on("exit", (code, signal) => {
    for (const name of forwarded) process.off(name, forward)
    resume(Effect.succeed(code ?? signalCode + os.constants.signals[signal!]))
  })
})

export const warningOf = (minimum: number): string | undefined =>
  minimum > largest ? `--minimum-pid ${minimum} counts as ${largest}` : undefined

/** There is no log yet. */
const refuse = () =>
  process.stderr.write(
    `lightningstream: --minimum-pid: processes that were started got no rising numbers. Set ${skip}=1 if no other container shares the LMDB\n`
  )

/** Runs `command` in this process if its number is large enough, else again as a child. The exit code. */
export const atLeast = <E, R>(minimum: number, command: Effect.Effect<number, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    const wanted = Math.min(minimum, largest)
    if (process.pid >= wanted || process.env[skip] === "1") return command
    return useNumbers(wanted) ? runAgain : Effect.as(Effect.sync(refuse), 1)
  })
