/**
 * The program: the list of all commands, and the dispatch of the parsed command line. Everything else is loaded when a
 * command runs, so that `version` and the help, which scripts and probes use, take no longer than Node itself.
 *
 * Exit codes: 0 success, 1 error, 2 bad usage or configuration, 75 timeout, 137 killed by itself because it did not end
 * in time, 128 + N ended by signal N.
 */
import { Effect } from "effect"
import * as module from "node:module"
import packageJson from "../package.json" with { type: "json" }
import { CommandTree } from "./commands/cli/CommandDefinition.ts"
import { load } from "./commands/cli/Load.ts"
import { parse } from "./commands/cli/Parse.ts"
import { print } from "./commands/cli/Print.ts"
import { completion } from "./commands/Completion.ts"
import { configCheck } from "./commands/config/ConfigCheck.ts"
import { configShow } from "./commands/config/ConfigShow.ts"
import { doctor } from "./commands/doctor/Doctor.ts"
import { docs } from "./commands/Docs.ts"
import { dropShadow } from "./commands/DropShadow.ts"
import { dump } from "./commands/Dump.ts"
import { migrateTimestamps } from "./commands/experimental/MigrateTimestamps.ts"
import { pdnsV5FixDuplicateDomains } from "./commands/experimental/PdnsV5FixDuplicateDomains.ts"
import { help } from "./commands/Help.ts"
import { receive } from "./commands/Receive.ts"
import { restore } from "./commands/Restore.ts"
import { snapshotsDump } from "./commands/snapshots/SnapshotsDump.ts"
import { snapshotsGet } from "./commands/snapshots/SnapshotsGet.ts"
import { snapshotsList } from "./commands/snapshots/SnapshotsList.ts"
import { snapshotsPut } from "./commands/snapshots/SnapshotsPut.ts"
import { snapshotsRemove } from "./commands/snapshots/SnapshotsRemove.ts"
import { stats } from "./commands/Stats.ts"
import { sync } from "./commands/Sync.ts"
import { verify } from "./commands/Verify.ts"
import { version } from "./commands/Version.ts"
import { handleSignals } from "./layers/process/DefaultSignals.ts"
import { endProcess } from "./layers/process/EndProcess.ts"
import * as ZombieReaper from "./layers/process/ZombieReaper.ts"

/** The commands, in the order of the help. */
export const commands = [
  sync,
  receive,
  {
    name: "snapshots",
    summary: "List, print, download, upload and delete the objects in the bucket",
    commands: [snapshotsList, snapshotsDump, snapshotsGet, snapshotsPut, snapshotsRemove]
  },
  restore,
  dump,
  stats,
  verify,
  doctor,
  dropShadow,
  { name: "config", summary: "Check and show the configuration", commands: [configCheck, configShow] },
  {
    name: "experimental",
    summary: "Commands for special cases, which may change in any release",
    commands: [migrateTimestamps, pdnsV5FixDuplicateDomains]
  },
  version,
  completion,
  docs,
  help
]

const fail = (error: { readonly message: string }, code: number) =>
  Effect.sync(() => {
    process.stderr.write(`${error.message}\n`)
    return code
  })

/** Runs the command and returns the exit code. */
const program = Effect.gen(function* () {
  const parsed = yield* parse(process.argv.slice(2))
  if ("text" in parsed) return yield* print(parsed.text)
  const { command, given, global } = parsed
  if (global.minimumPid <= 0) return yield* command.run(given, global)
  const { MinimumPid } = yield* load(() => ({ MinimumPid: import("./layers/process/MinimumPid.ts") }))
  return yield* MinimumPid.atLeast(global.minimumPid, command.run(given, global))
}).pipe(
  Effect.catchTags({ UsageError: (error) => fail(error, 2), NotInstalled: (error) => fail(error, 1) }),
  Effect.provideService(CommandTree, { version: packageJson.version, commands })
)

/**
 * Ends the process at an uncaught exception, a bug. Node would wait for all threads, one of which may wait for LMDB.
 */
const endAtUncaughtException = () =>
  process.on("uncaughtException", (error) => {
    process.stderr.write(`lightningstream: uncaught exception, please report it: ${error?.stack ?? String(error)}\n`)
    endProcess(1)
  })

/** Exit codes above this one stand for signals. */
const signalCode = 128

const exit = (code: number) => {
  module.flushCompileCache?.()
  endProcess(code)
}

/**
 * Runs the program. The published command is another file, which checks the version of Node before it loads this one.
 */
export const run = () => {
  handleSignals()
  ZombieReaper.start()
  endAtUncaughtException()
  return Effect.runPromise(program).then((code) => {
    process.exitCode = code
    // Every scope is closed now. Whatever still keeps the event loop busy, such as a pooled connection or a thread that
    // waits for a disk, must not keep the process alive, especially not after a signal.
    // @effect-diagnostics-next-line globalTimers:off -- the program has ended
    setTimeout(() => exit(code), code > signalCode ? 0 : 1_000).unref()
  })
}

if (import.meta.main) run()
