/** `config show` prints the effective configuration. */
import { Effect, Stream } from "effect"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { load } from "../cli/Load.ts"

export const configShow = defineCommand({
  name: "show",
  summary: "Print the configuration in effect as YAML, secrets hidden",
  details: `
With every default filled in, environment variables replaced, and what the
command line says instead of the file.
`,
  examples: [
    { command: "lightningstream config show", description: "Print what lightningstream.yaml comes to" },
    { command: "lightningstream config show -i b | grep ^instance", description: "See what an option changes" }
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
