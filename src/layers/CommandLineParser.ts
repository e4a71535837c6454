/**
 * The commands and their flags, for effect/cli, which checks them and writes the help. In a file of its own because it
 * is only loaded when there is more to do than to say a version.
 */
import { Duration, Effect, FileSystem, Layer, Option, Path, Stdio, Terminal } from "effect"
import * as Argument from "effect/cli/Argument"
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Cli from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { Command, GlobalOptions } from "../domain/CommandLine.ts"
import { canonical, commands, type Spelled } from "../domain/CommandLineSpelling.ts"
import * as GoDuration from "../domain/settings/values/GoDuration.ts"
import {
  logFormats,
  logLevels,
  logTimestamps,
  readLogLevel,
  readLogTimestamp
} from "../domain/settings/values/LogOptions.ts"
import { commandName, UsageError } from "./CommandLine.ts"

const about = Flag.withDescription

const text = (name: string, metavar: string) => Flag.String(name).pipe(Flag.withMetavar(metavar))

const switchOf = (name: string) => Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDefault(false))

const oneOf = <const Words extends ReadonlyArray<string>>(
  name: string,
  words: Words,
  read: (text: string) => string = (text) => text
) =>
  text(name, words.join("|")).pipe(
    Flag.filterMap(
      (given): Option.Option<Words[number]> => Option.fromUndefinedOr(words.find((word) => word === read(given))),
      () => `Expected one of ${words.join(", ")}`
    ),
    Flag.optional
  )

const timeout = text("timeout", "DURATION").pipe(
  Flag.filterMap(
    (given) =>
      Option.filter(Option.fromUndefinedOr(GoDuration.parse(given)), (duration) => !Duration.isNegative(duration)),
    () => `Expected ${GoDuration.expected}, not below 0`
  ),
  Flag.withDefault(Duration.zero)
)

const minimumPid = Flag.Int("minimum-pid").pipe(
  Flag.withMetavar("N"),
  Flag.filter(
    (pid) => pid >= 0,
    () => "Expected a number that is not below 0"
  ),
  Flag.withDefault(0)
)

const globalFlags = {
  config: text("config", "FILE").pipe(
    Flag.withAlias("c"),
    about("Configuration file (default: lightningstream.yaml)"),
    Flag.withDefault("lightningstream.yaml")
  ),
  instance: text("instance", "NAME").pipe(
    Flag.withAlias("i"),
    about("Name of this instance, instead of the file's"),
    Flag.optional
  ),
  debug: switchOf("debug").pipe(about("As --log-level debug")),
  logConfig: switchOf("log-config").pipe(about("Log the effective configuration, secrets hidden")),
  logLevel: oneOf("log-level", logLevels, readLogLevel).pipe(about("Log what is at least as severe")),
  logFormat: oneOf("log-format", logFormats).pipe(about("Format of the log")),
  logTimestamp: oneOf("log-timestamp", logTimestamps, readLogTimestamp).pipe(about("Times in the log, on a terminal")),
  minimumPid: minimumPid.pipe(about("Run as a process with at least this number (containers on one LMDB)")),
  timeout: timeout.pipe(about("End the command after this long, with exit code 75 (0: never)")),
  // Answered before: here for the help.
  version: switchOf("version").pipe(about("Print the name and the version"))
}

type Given<Flags> = { readonly [Name in keyof Flags]: Flags[Name] extends Flag.Flag<infer A> ? A : never }

const globalOptions = (given: Given<typeof globalFlags>): GlobalOptions => ({
  config: given.config,
  instance: Option.getOrUndefined(given.instance),
  logLevel: given.debug ? "debug" : Option.getOrUndefined(given.logLevel),
  logFormat: Option.getOrUndefined(given.logFormat),
  logTimestamp: Option.getOrUndefined(given.logTimestamp),
  logConfig: given.logConfig,
  minimumPid: given.minimumPid,
  timeout: given.timeout
})

const syncFlags = {
  onlyOnce: Flag.Boolean("only-once").pipe(
    Flag.withoutNegation,
    about("End when all instances' snapshots are merged and ours is stored"),
    Flag.optional
  ),
  onlyDatabases: text("only-db", "NAME").pipe(
    about("Only this database; may be given more than once"),
    Flag.atLeast(0)
  ),
  waitForMarkerFile: text("wait-for-marker-file", "NAME").pipe(
    about("First wait until the bucket has this object"),
    Flag.optional
  ),
  acceptStale: switchOf("accept-stale").pipe(about("Merge and send what is older than the sweeper's retention, too"))
}

const syncOptions = (given: Given<typeof syncFlags>) => ({
  onlyOnce: Option.getOrUndefined(given.onlyOnce),
  onlyDatabases: given.onlyDatabases,
  waitForMarkerFile: Option.getOrUndefined(given.waitForMarkerFile),
  acceptStale: given.acceptStale
})

/** `answer` gets what was asked for. */
const commandTree = (answer: (command: Command) => void) => {
  const root = Cli.make(commandName).pipe(
    Cli.withSharedFlags(globalFlags),
    Cli.withDescription("Keeps LMDBs of many servers in sync through an object store")
  )
  const answerWith = (make: (global: GlobalOptions) => Command) =>
    Effect.map(root, (given) => answer(make(globalOptions(given))))

  const sync = Cli.make("sync", syncFlags, (given) =>
    answerWith((global) => ({ _tag: "Sync", global, options: syncOptions(given) }))
  ).pipe(Cli.withDescription("Send local changes, and merge those of others, until ended"))
  const receive = Cli.make("receive", syncFlags, (given) =>
    answerWith((global) => ({ _tag: "Receive", global, options: syncOptions(given) }))
  ).pipe(Cli.withDescription("Merge changes of others, and never write to the bucket"))
  const listFlags = {
    prefix: text("prefix", "PREFIX").pipe(
      Flag.withAlias("p"),
      about("Only names that begin with this"),
      Flag.withDefault("")
    ),
    long: switchOf("long").pipe(Flag.withAlias("l"), about("With sizes")),
    time: switchOf("time").pipe(Flag.withAlias("t"), about("By the snapshots' time instead of by name"))
  }
  const list = Cli.make("list", listFlags, (options) =>
    answerWith((global) => ({ _tag: "SnapshotsList", global, options }))
  ).pipe(Cli.withDescription("List the objects of the bucket"))
  const dumpFlags = {
    name: Argument.String("name").pipe(Argument.withDescription("Object, or with --local the path of a file")),
    dbi: text("dbi", "NAME").pipe(Flag.withAlias("d"), about("Only this DBI"), Flag.optional),
    local: switchOf("local").pipe(Flag.withAlias("l"), about("NAME is the path of a file; needs no configuration")),
    format: oneOf("format", ["debug", "text", "json"]).pipe(
      Flag.withAlias("f"),
      about("text (also called debug; the default), or json: one object per line")
    )
  }
  const dump = Cli.make("dump", dumpFlags, ({ dbi, format, local, name }) =>
    answerWith((global) => ({
      _tag: "SnapshotsDump",
      global,
      options: {
        name,
        local,
        dbi: Option.getOrUndefined(dbi),
        format: Option.getOrUndefined(format) === "json" ? "json" : "text"
      }
    }))
  ).pipe(Cli.withDescription("Print what a snapshot holds"))
  const snapshots = Cli.make("snapshots").pipe(
    Cli.withDescription("Look at snapshots"),
    Cli.withSubcommands([list, dump])
  )
  const dropShadow = Cli.make("drop-shadow", {}, () => answerWith((global) => ({ _tag: "DropShadow", global }))).pipe(
    Cli.withDescription("Drop the _sync* DBIs of every configured database; stop sync and receive before")
  )
  // Answered before: here for the help, and for what is wrong with its arguments.
  const version = Cli.make("version", {}, () => Effect.void).pipe(Cli.withDescription("Print the version"))
  return root.pipe(Cli.withSubcommands([sync, receive, snapshots, dropShadow, version]))
}

/** What is allowed instead of a command that is not known. */
const describe = (error: CliError.CliError, { command }: Spelled): string => {
  if (error._tag !== "UnknownSubcommand") return error.message
  const below = Object.keys(commands)
    .map((name) => name.split(" "))
    .filter((words) => words.length === command.length + 1 && command.every((word, index) => word === words[index]))
  return `unknown command ${JSON.stringify(error.subcommand)}: expected one of ${below.map((words) => words.at(-1)).join(", ")}`
}

const formatter = CliOutput.defaultFormatter({ colors: false })

/**
 * What effect/cli may need for flags that are files, and for prompts: there are none here, and to load the real ones
 * takes longer than to parse.
 */
const unused = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.mock(Terminal.Terminal)({ "~effect/Terminal": "~effect/Terminal" }),
  Layer.mock(ChildProcessSpawner)({})
)

export const parseSpelled = Effect.fnUntraced(function* (spelled: Spelled) {
  let found: Command | undefined
  const present: CliOutput.Presenter["present"] = (event) =>
    Effect.sync(() => {
      if (event._tag === "Help") found = { _tag: "Print", text: `${formatter.formatHelpDoc(event.helpDoc)}\n` }
    })
  const output = Layer.merge(CliConfig.layer({ builtIns: [GlobalFlag.Help] }), CliOutput.layerPresenter({ present }))
  // No version: that flag is answered before.
  const run = Cli.runWith(
    commandTree((command) => void (found = command)),
    { version: "", renderErrors: true }
  )
  yield* Effect.yieldNow
  const command = [commandName, ...spelled.command].join(" ")
  yield* run(canonical(spelled)).pipe(
    Effect.provide(Layer.merge(output, unused)),
    Effect.catch((error) => {
      const problems = error._tag === "ShowHelp" ? error.errors.map((one) => describe(one, spelled)) : [error.message]
      // A command that only has others below it: its help.
      return problems.length === 0 ? Effect.void : Effect.fail(new UsageError({ command, problems }))
    })
  )
  return found ?? (yield* new UsageError({ command, problems: ["nothing to do"] }))
})
