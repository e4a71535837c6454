/** `config check` reports whether the configuration can be used. */
import { Effect, Stream } from "effect"
import { defineCommand } from "../cli/CommandDefinition.ts"
import { load } from "../cli/Load.ts"

export const configCheck = defineCommand({
  name: "check",
  summary: "Check the configuration and list all errors at once",
  details: `
Neither the LMDBs nor the bucket are opened. If there are only warnings, they
are logged and the exit code is 0. If there are errors, each is listed with
its key path and the exit code is 2.
`,
  examples: [
    { command: "lightningstream config check", description: "Check lightningstream.yaml" },
    {
      command: "lightningstream config check && echo ready to restart",
      description: "Check the configuration before restarting the daemon"
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
