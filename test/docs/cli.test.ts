/** docs/cli.md and `--help` say the same. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { CommandTree } from "../../src/commands/cli/CommandDefinition.ts"
import { byWords } from "../../src/commands/cli/Grammar.ts"
import { parse } from "../../src/commands/cli/Parse.ts"
import { commands } from "../../src/main.ts"
import { readText, rowsOf } from "./Documents.ts"

/** As `--name, -n` of each flag under that heading of the help. */
const flagsOf = (help: string, heading: string): ReadonlyArray<string> => {
  const part = new RegExp(`^${heading}\\n((?: {2}.*\\n?)*)`, "m").exec(help)?.[1] ?? ""
  return Array.from(part.matchAll(/^ {2}--([a-z-]+)(?:, -(\w))?/gm), ([, name, short]) => `${name} ${short ?? ""}`)
}

const help = (command: string) =>
  parse([...command.split(" "), "--help"]).pipe(
    Effect.map((parsed) => ("text" in parsed ? parsed.text : "")),
    Effect.provideService(CommandTree, { version: "", commands })
  )

const names = byWords(commands).map(([words]) => words)

/** Of the tables of options, by the heading above. */
const documented = Effect.map(readText("docs/cli.md"), (text) => {
  const bySection = new Map<string, Array<string>>()
  for (const { cells, section } of rowsOf(text)) {
    const name = /`--([a-z-]+)/.exec(cells[0]!)?.[1]
    if (name === undefined) continue
    const short = /`-(\w)`/.exec(cells[0]!)?.[1] ?? ""
    bySection.set(section, [...(bySection.get(section) ?? []), `${name} ${short}`])
  }
  return bySection
})

layer(NodeServices.layer)("docs/cli.md", (it) => {
  it.effect("has every option of every command, where it belongs, and no other", () =>
    Effect.gen(function* () {
      const sections = yield* documented
      for (const command of names) {
        const text = yield* help(command)
        const own = flagsOf(text, "FLAGS").toSorted()
        // Said once, for both.
        const section = command === "receive" ? "`sync`" : `\`${command}\``
        assert.deepStrictEqual((sections.get(section) ?? []).toSorted(), own, command)
        const shared = [...flagsOf(text, "INHERITED FLAGS"), ...flagsOf(text, "GLOBAL FLAGS")]
        assert.deepStrictEqual(sections.get("Options of every command")!.toSorted(), shared.toSorted(), command)
      }
    })
  )

  it.effect("has every command", () =>
    Effect.gen(function* () {
      const headings = Array.from((yield* readText("docs/cli.md")).matchAll(/^## (.*)$/gm), ([, heading]) => heading!)
      const words = headings.flatMap((heading) => Array.from(heading.matchAll(/`([^`]+)`/g), ([, word]) => word!))
      assert.deepStrictEqual(words.toSorted(), names.filter((command) => command !== "snapshots").toSorted())
    })
  )
})
