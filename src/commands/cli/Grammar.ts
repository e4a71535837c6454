/** Derives the grammar for effect/cli and the spellings of flags from the definitions of the commands. */
import { Effect } from "effect"
import * as Cli from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as Param from "effect/cli/Param"
import type { CommandDefinition, CommandGroup, CommandTree } from "./CommandDefinition.ts"
import { globalFlags, type GlobalOptions } from "./GlobalFlags.ts"
import { factsOf, type Params } from "./Flags.ts"
import type { FlagSpelling, Spellings } from "./PflagArguments.ts"
import { commandName } from "./UsageError.ts"

type Entry = CommandDefinition | CommandGroup

/** The command that was given, with its decoded flags and arguments. */
export interface Invocation {
  readonly command: CommandDefinition
  readonly given: Readonly<Record<string, unknown>>
  readonly global: GlobalOptions
}

const isGroup = (entry: Entry): entry is CommandGroup => "commands" in entry

/** Returns every command and group below `entries`, by its words. */
export const byWords = (
  entries: ReadonlyArray<Entry>,
  above: ReadonlyArray<string> = []
): ReadonlyArray<readonly [string, Entry]> =>
  entries.flatMap((entry) => {
    const words = [...above, entry.name]
    return [[words.join(" "), entry] as const, ...(isGroup(entry) ? byWords(entry.commands, words) : [])]
  })

const spellingOf = (param: Param.Any): FlagSpelling => {
  const { isList, isSwitch, name, short } = factsOf(param)
  return { name, short, kind: isList ? "list" : isSwitch ? "switch" : "value" }
}

const spellingsIn = (params: Params): ReadonlyArray<FlagSpelling> =>
  Object.values(params)
    .filter(({ kind }) => kind === "flag")
    .map(spellingOf)

export const spellingsOf = ({ commands }: CommandTree["Service"]): Spellings => ({
  global: [...spellingsIn(globalFlags), spellingOf(GlobalFlag.Help.flag)],
  commands: new Map(byWords(commands).map(([words, entry]) => [words, isGroup(entry) ? [] : spellingsIn(entry.params)]))
})

/** The formatter indents only the first line. */
const descriptionOf = ({ details, summary }: CommandDefinition): string =>
  details === undefined ? summary : `${summary}\n\n${details.trim()}`.replaceAll(/\n(?=.)/g, "\n  ")

/** Returns the commands for effect/cli. `found` is called with the command that was given. */
export const commandFor = ({ commands }: CommandTree["Service"], found: (invocation: Invocation) => void) => {
  const root = Cli.make(commandName).pipe(
    Cli.withSharedFlags(globalFlags),
    Cli.withDescription("Keeps LMDBs of many servers in sync through an object store")
  )
  const of = (entry: Entry): Cli.Command<string, any, any, never, Cli.CommandContext<typeof commandName>> => {
    if (isGroup(entry))
      return Cli.make(entry.name).pipe(Cli.withDescription(entry.summary), Cli.withSubcommands(entry.commands.map(of)))
    return Cli.make(entry.name, entry.params, (given) =>
      Effect.map(root, (global) => found({ command: entry, given, global }))
    ).pipe(
      Cli.withDescription(descriptionOf(entry)),
      Cli.withShortDescription(entry.summary),
      Cli.withExamples(entry.examples)
    )
  }
  return root.pipe(Cli.withSubcommands(commands.map(of)))
}
