/**
 * Tells shells what the values of options and arguments are: the words of a fixed set, names of files, or commands.
 * They are derived from the names that stand for the values in the help.
 */
import type { ArgumentDescriptor, CommandDescriptor, FlagDescriptor } from "effect/cli/Completions"
import type { CommandTree } from "./CommandDefinition.ts"
import { factsOf, type Params } from "./Flags.ts"
import { globalFlags } from "./GlobalFlags.ts"
import { byWords } from "./Grammar.ts"

type ValueType = FlagDescriptor["type"] & ArgumentDescriptor["type"]

const fileMetavars: ReadonlySet<string> = new Set(["FILE", "PATH"])

const typeOf = (metavar: string): ValueType | undefined =>
  metavar.includes("|")
    ? { _tag: "Choice", values: metavar.split("|") }
    : fileMetavars.has(metavar)
      ? { _tag: "Path", pathType: "either" }
      : undefined

/** Returns the descriptor of the root command with the types of the values. */
export const withValues = ({ commands }: CommandTree["Service"], root: CommandDescriptor): CommandDescriptor => {
  const entries = new Map(byWords(commands))
  const names = commands.map(({ name }) => name)
  const complete = (descriptor: CommandDescriptor, words: string): CommandDescriptor => {
    const entry = entries.get(words)
    const params: Params = entry === undefined || "commands" in entry ? {} : entry.params
    const types = new Map<string, ValueType | undefined>(
      Object.values({ ...globalFlags, ...params }).map((param) => {
        const { metavar, name } = factsOf(param)
        return [name, typeOf(metavar)]
      })
    )
    if (words === "help") types.set("command", { _tag: "Choice", values: names })
    const typed = <A extends FlagDescriptor | ArgumentDescriptor>(one: A): A => ({
      ...one,
      type: types.get(one.name) ?? one.type
    })
    return {
      ...descriptor,
      flags: descriptor.flags.map(typed),
      arguments: descriptor.arguments.map(typed),
      subcommands: descriptor.subcommands.map((one) => complete(one, words === "" ? one.name : `${words} ${one.name}`))
    }
  }
  return complete(root, "")
}
