/** `docs` prints the documentation of all commands, generated from their help. */
import { Effect } from "effect"
import * as Flag from "effect/cli/Flag"
import { CommandTree, defineCommand } from "./cli/CommandDefinition.ts"
import { about, oneOf } from "./cli/Flags.ts"
import { load } from "./cli/Load.ts"
import { print } from "./cli/Print.ts"

export const docs = defineCommand({
  name: "docs",
  summary: "Print the documentation of all commands",
  examples: [
    { command: "lightningstream docs > cli.md", description: "Write the documentation as Markdown" },
    {
      command: "lightningstream docs --format man > lightningstream.1",
      description: "Write the manual page, for man -l lightningstream.1"
    }
  ],
  params: {
    format: oneOf("format", ["markdown", "man"]).pipe(
      Flag.withAlias("f"),
      about("Output format: markdown (the default) or man")
    )
  },
  run: Effect.fnUntraced(function* ({ format }) {
    const tree = yield* CommandTree
    const { ManPage, MarkdownReference } = yield* load(() => ({
      ManPage: import("./cli/reference/ManPage.ts"),
      MarkdownReference: import("./cli/reference/MarkdownReference.ts")
    }))
    return yield* print(format === "man" ? ManPage.manPage(tree) : MarkdownReference.markdown(tree))
  })
})
