/** `help COMMAND` prints the same text as `COMMAND --help`. */
import { Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import { CommandTree, defineCommand } from "./cli/CommandDefinition.ts"
import { byWords } from "./cli/Grammar.ts"
import { parse } from "./cli/Parse.ts"
import { print } from "./cli/Print.ts"

export const help = defineCommand({
  name: "help",
  summary: "Print the help of a command",
  examples: [
    { command: "lightningstream help", description: "List all commands" },
    { command: "lightningstream help snapshots list", description: "Print the help of one command" }
  ],
  params: {
    command: Argument.String("command").pipe(
      Argument.withDescription("Command to describe (default: list all commands)"),
      Argument.variadic()
    )
  },
  run: Effect.fnUntraced(function* ({ command }) {
    const { commands } = yield* CommandTree
    const isKnown = command.length === 0 || byWords(commands).some(([words]) => words === command.join(" "))
    // An unknown command is parsed without the flag, so that the parser reports it.
    const parsed = yield* parse(isKnown ? [...command, "--help"] : command)
    return "text" in parsed ? yield* print(parsed.text) : 1
  })
})
