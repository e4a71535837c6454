/**
 * Parses the command line. PflagArguments normalizes the spellings that pflag accepts; effect/cli then checks the
 * values and writes the help.
 */
import { Effect, FileSystem, Layer, Path, Stdio, Terminal } from "effect"
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Cli from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { CommandTree } from "./CommandDefinition.ts"
import { commandFor, type Invocation, spellingsOf } from "./Grammar.ts"
import { canonical, spell, type Spelled, type Spellings } from "./PflagArguments.ts"
import { commandName, UsageError } from "./UsageError.ts"

/** Help and version texts, which are written to standard output unchanged. */
export interface Text {
  readonly text: string
}

/** Lists the allowed commands when the given one is unknown. */
const describe = (error: CliError.CliError, { commands }: Spellings, { command }: Spelled): string => {
  if (error._tag !== "UnknownSubcommand") return error.message
  const below = [...commands.keys()]
    .map((name) => name.split(" "))
    .filter((words) => words.length === command.length + 1 && command.every((word, index) => word === words[index]))
  return `unknown command ${JSON.stringify(error.subcommand)}: expected one of ${below.map((words) => words.at(-1)).join(", ")}`
}

const formatter = CliOutput.defaultFormatter({ colors: false })

/**
 * Services that effect/cli needs for file flags and prompts. There are no such flags and prompts here, and loading the
 * real services takes longer than parsing.
 */
const unused = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.mock(Terminal.Terminal)({ "~effect/Terminal": "~effect/Terminal" }),
  Layer.mock(ChildProcessSpawner)({})
)

const parseSpelled = Effect.fnUntraced(function* (spellings: Spellings, spelled: Spelled) {
  const tree = yield* CommandTree
  let found: Invocation | Text | undefined
  const present: CliOutput.Presenter["present"] = (event) =>
    Effect.sync(() => {
      if (event._tag === "Help") found = { text: `${formatter.formatHelpDoc(event.helpDoc)}\n` }
    })
  const output = Layer.merge(CliConfig.layer({ builtIns: [GlobalFlag.Help] }), CliOutput.layerPresenter({ present }))
  // The version flag has been handled before, so effect/cli gets no version.
  const run = Cli.runWith(
    commandFor(tree, (invocation) => void (found = invocation)),
    { version: "", renderErrors: true }
  )
  const command = [commandName, ...spelled.command].join(" ")
  yield* run(canonical(spelled)).pipe(
    Effect.provide(Layer.merge(output, unused)),
    Effect.catch((error) => {
      const problems =
        error._tag === "ShowHelp" ? error.errors.map((one) => describe(one, spellings, spelled)) : [error.message]
      // A command that only groups others prints its help.
      return problems.length === 0 ? Effect.void : Effect.fail(new UsageError({ command, problems }))
    })
  )
  return found ?? (yield* new UsageError({ command, problems: ["nothing to do"] }))
})

/** Parses `args`, which exclude the names of the runtime and the script. */
export const parse = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const tree = yield* CommandTree
  const spellings = spellingsOf(tree)
  const spelled = spell(spellings, args)
  const wants = (flag: string) => spelled.flags.get(flag)?.[0] === "true"
  const wantsVersion = wants("version") && !wants("help") && spelled.unknown.length === 0
  return wantsVersion ? { text: `${commandName} version ${tree.version}\n` } : yield* parseSpelled(spellings, spelled)
})
