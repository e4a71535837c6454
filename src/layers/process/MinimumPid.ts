/**
 * `--minimum-pid`: containers that share an LMDB but have their own PID namespaces could collide in LMDB's reader
 * table, which identifies processes by pid. If the pid is below that number, short-lived processes are started to use
 * up the numbers, and the command runs again as a child with a large enough pid. Signals are passed on to the child,
 * and its exit code is passed back.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- synchronous, before anything else of the command is loaded
import { spawn, spawnSync } from "node:child_process"
import * as os from "node:os"
import { Effect } from "effect"

/** Larger numbers are reduced to this one. */
const largest = 200

/** Set for the child, and by users who want no check. */
const skip = "LIGHTNINGSTREAM_NO_PID_CHECK"

const forwarded: ReadonlyArray<NodeJS.Signals> = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"]

/** Added to the number of the signal, as shells do. */
const signalCode = 128

/** Uses up process numbers. Stops when they no longer grow, because they have wrapped around. */
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
    // Outside the terminal's foreground group, since Ctrl-C would otherwise reach the child twice.
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

/** The log is not available yet. */
const refuse = () =>
  process.stderr.write(
    `lightningstream: --minimum-pid: processes that were started got no rising numbers. Set ${skip}=1 if no other container shares the LMDB\n`
  )

/** Runs `command` in this process if its pid is large enough, otherwise in a child. Returns the exit code. */
export const atLeast = <E, R>(minimum: number, command: Effect.Effect<number, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    const wanted = Math.min(minimum, largest)
    if (process.pid >= wanted || process.env[skip] === "1") return command
    return useNumbers(wanted) ? runAgain : Effect.as(Effect.sync(refuse), 1)
  })
