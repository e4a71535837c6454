/** The reference of each command, taken from its definition, for docs/cli.md and the manual page. */
import type { CommandTree, Example } from "../CommandDefinition.ts"
import { factsOf, type ParamFacts, type Params } from "../Flags.ts"
import { byWords } from "../Grammar.ts"
import { commandName } from "../UsageError.ts"

export interface CommandReference {
  /** The words of the command, without `lightningstream`. */
  readonly words: string
  readonly usage: string
  readonly summary: string
  readonly details: string
  readonly args: ReadonlyArray<ParamFacts>
  readonly options: ReadonlyArray<ParamFacts>
  readonly examples: ReadonlyArray<Example>
}

const argumentText = ({ isList, isRequired, metavar }: ParamFacts): string => {
  const text = isList ? `${metavar}...` : metavar
  return isRequired ? text : `[${text}]`
}

/** Returns every command that is not a group, in the order of the help. */
export const referencesOf = ({ commands }: CommandTree["Service"]): ReadonlyArray<CommandReference> =>
  byWords(commands).flatMap(([words, entry]) => {
    if ("commands" in entry) return []
    const params = Object.values<Params[string]>(entry.params)
    const args = params.filter(({ kind }) => kind === "argument").map(factsOf)
    const usage = [commandName, words, "[options]", ...args.map(argumentText)].join(" ")
    return [
      {
        words,
        usage,
        summary: entry.summary,
        details: entry.details?.trim() ?? "",
        args,
        options: params.filter(({ kind }) => kind === "flag").map(factsOf),
        examples: entry.examples
      }
    ]
  })
