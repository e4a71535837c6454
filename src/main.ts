/**
 * The command: parses the command line and runs what it asks for. Everything else is loaded when it is needed:
 * `version` and the help are what scripts and probes ask for, and take no longer than Node itself.
 *
 * Exit codes: 0 done, 1 error, 2 bad usage or configuration, 75 time-out, 137 killed by itself at the end of its
 * patience.
 */
import { Effect, Schema } from "effect"
import packageJson from "../package.json" with { type: "json" }
import type { Command } from "./domain/CommandLine.ts"
import { parse } from "./layers/CommandLine.ts"
import { lmdbBuildCommand } from "./layers/lmdb/native/BuildCommand.ts"
import { giveBackFreed } from "./layers/process/ProcessMemory.ts"

/** A part of the command, most likely a native package, is not there or does not fit. */
class NotInstalled extends Schema.TaggedError<NotInstalled>()("NotInstalled", { detail: Schema.String }) {
  override get message(): string {
    return (
      `lightningstream: the installation is not complete: ${this.detail}\n` +
      `If it is the package lmdb that has no native build, run: ${lmdbBuildCommand}`
    )
  }
}

/**
 * With a turn for the event loop before and after. In the bundle what the part needs is loaded in turns, too:
 * scripts/LoadInTurns.ts.
 */
const load = <A>(part: () => Promise<A>) =>
  Effect.yieldNow.pipe(
    Effect.andThen(
      Effect.tryPromise({
        try: part,
        catch: (error) => new NotInstalled({ detail: error instanceof Error ? error.message : String(error) })
      })
    ),
    Effect.tap(Effect.yieldNow)
  )

/** A reader that has seen enough (`--help | head -1`) is no error. */
const print = (text: string) =>
  Effect.callback<number>((resume) => {
    // Without a listener a failed write would end the process with a stack trace.
    process.stdout.on("error", () => {})
    process.stdout.write(text, (error) => {
      const isFailure = error !== undefined && error !== null && (error as NodeJS.ErrnoException).code !== "EPIPE"
      if (isFailure) process.stderr.write(`lightningstream: standard output: ${error.message}\n`)
      resume(Effect.succeed(isFailure ? 1 : 0))
    })
  })

/** The exit code. */
const run = (command: Command): Effect.Effect<number, NotInstalled> => {
  switch (command._tag) {
    case "Print":
      return print(command.text)
    case "Sync":
    case "Receive":
      return Effect.andThen(
        giveBackFreed,
        Effect.flatMap(
          load(() => import("./mainSync.ts")),
          ({ sync }) => sync(command)
        )
      )
    case "DropShadow":
      return Effect.flatMap(
        load(() => import("./mainDropShadow.ts")),
        ({ dropShadow }) => dropShadow(command)
      )
    case "SnapshotsList":
    case "SnapshotsDump":
      return Effect.flatMap(
        load(() => import("./mainSnapshots.ts")),
        ({ snapshots }) => snapshots(command)
      )
  }
}

const fail = (error: { readonly message: string }, code: number) =>
  Effect.sync(() => {
    process.stderr.write(`${error.message}\n`)
    return code
  })

const program = Effect.andThen(Effect.yieldNow, parse(process.argv.slice(2), packageJson.version)).pipe(
  Effect.flatMap((command) => {
    if (command._tag === "Print" || command.global.minimumPid <= 0) return run(command)
    return Effect.flatMap(
      load(() => import("./layers/process/MinimumPid.ts")),
      ({ atLeast }) => atLeast(command.global.minimumPid, run(command))
    )
  }),
  Effect.catchTags({ UsageError: (error) => fail(error, 2), NotInstalled: (error) => fail(error, 1) })
)

Effect.runPromise(program).then((code) => {
  process.exitCode = code
  // By now every scope is closed. What still keeps the event loop busy, such as a pooled connection, must not keep the
  // process.
  // @effect-diagnostics-next-line globalTimers:off -- the program has ended
  setTimeout(() => process.exit(code), 1_000).unref()
})
