/** `version` prints the bare version, for scripts. */
import { CommandTree, defineCommand } from "./cli/CommandDefinition.ts"
import { print } from "./cli/Print.ts"

export const version = defineCommand({
  name: "version",
  summary: "Print the version",
  examples: [
    { command: "lightningstream version", description: "Print only the version" },
    { command: "lightningstream --version", description: "Print the name and the version" }
  ],
  params: {},
  run: () => CommandTree.use(({ version }) => print(`${version}\n`))
})
