/** `completion SHELL` prints a script with which the shell completes commands and options. */
import { Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import { CommandTree, defineCommand } from "./cli/CommandDefinition.ts"
import { withValues } from "./cli/CompletedValues.ts"
import { commandFor } from "./cli/Grammar.ts"
import { load } from "./cli/Load.ts"
import { print } from "./cli/Print.ts"
import { commandName } from "./cli/UsageError.ts"

const shells = ["bash", "zsh", "fish", "powershell"] as const

export const completion = defineCommand({
  name: "completion",
  summary: "Print a shell script that completes commands and options",
  details: `
Load the script in the startup file of the shell:

    bash: source <(lightningstream completion bash)        in ~/.bashrc
    zsh:  source <(lightningstream completion zsh)         in ~/.zshrc
    fish: lightningstream completion fish | source         in config.fish
    powershell: lightningstream completion powershell | Out-String | Invoke-Expression
`,
  examples: [
    {
      command: "lightningstream completion bash > /tmp/lightningstream.bash && source /tmp/lightningstream.bash",
      description: "Enable completion in the current bash"
    },
    {
      command: "lightningstream completion fish > /tmp/lightningstream.fish",
      description: "Write the script for fish to a file"
    }
  ],
  params: {
    shell: Argument.Literals("shell", shells).pipe(
      Argument.withMetavar("SHELL"),
      Argument.withDescription(`Name of the shell: one of ${shells.join(", ")}`)
    )
  },
  run: Effect.fnUntraced(function* ({ shell }) {
    const tree = yield* CommandTree
    const { Completions } = yield* load(() => ({ Completions: import("effect/cli/Completions") }))
    const descriptor = withValues(tree, Completions.fromCommand(commandFor(tree, () => {})))
    const script = Completions.generate(commandName, shell, descriptor)
    // The generated script names the flag that effect/cli itself would have for this.
    return yield* print(`${script.replaceAll(`${commandName} --completions`, `${commandName} completion`)}\n`)
  })
})
