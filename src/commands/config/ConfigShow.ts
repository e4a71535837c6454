/** `config show` prints the effective configuration. */
import { Effect, Stream } from "effect"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { load } from "../cli/Load.ts"

export const configShow = defineCommand({
  name: "show",
  summary: "Print the effective configuration as YAML, with secrets hidden",
  details: `
The output includes every default. Environment variables are replaced by their
values, and command-line options override the file.
`,
  examples: [
    {
      command: "lightningstream config show",
      description: "Print the effective configuration of lightningstream.yaml"
    },
    { command: "lightningstream config show -i b | grep ^instance", description: "Show the effect of an option" }
  ],
  params: {},
  run: Effect.fnUntraced(function* (_, global) {
    const { Command, SettingsYaml, StandardOutput } = yield* load(() => ({
      Command: import("../cli/ConfiguredCommand.ts"),
      SettingsYaml: import("../../layers/settings/SettingsYaml.ts"),
      StandardOutput: import("../../layers/process/StandardOutput.ts")
    }))
    return yield* Command.withSettings({ global }, ({ settings }) =>
      Effect.as(StandardOutput.write(Stream.make(SettingsYaml.effectiveYaml(settings))), 0)
    )
  })
})
