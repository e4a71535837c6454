/** `config check` reports whether the configuration can be used. */
import { Effect, Stream } from "effect"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { load } from "../cli/Load.ts"

export const configCheck = defineCommand({
  name: "check",
  summary: "Check the configuration, and list all that is wrong with it at once",
  details: `
Nothing is opened: neither an LMDB nor the bucket. Warnings are logged, and
the exit code is 0 then. With mistakes it is 2, and each is listed with its
key path.
`,
  examples: [
    { command: "lightningstream config check", description: "Check lightningstream.yaml" },
    {
      command: "lightningstream config check && echo ready to restart",
      description: "Check before the daemon is restarted"
    }
  ],
  params: {},
  run: Effect.fnUntraced(function* (_, global) {
    const { Command, StandardOutput } = yield* load(() => ({
      Command: import("../cli/ConfiguredCommand.ts"),
      StandardOutput: import("../../layers/process/StandardOutput.ts")
    }))
    return yield* Command.withSettings(
      { global },
      Effect.fnUntraced(function* ({ warnings }) {
        for (const warning of warnings) yield* Effect.logWarning(warning)
        yield* StandardOutput.write(Stream.make(`${global.config}: the configuration can be used\n`))
        return 0
      })
    )
  })
})
