/** docs/cli.md, the manual page and `--help` say the same: all are made from the commands. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import { CommandTree } from "../../src/commands/cli/CommandDefinition.ts"
import { byWords } from "../../src/commands/cli/Grammar.ts"
import { parse } from "../../src/commands/cli/Parse.ts"
import { manPage } from "../../src/commands/cli/reference/ManPage.ts"
import { markdown } from "../../src/commands/cli/reference/MarkdownReference.ts"
import { commands } from "../../src/main.ts"
import { readText, rowsOf } from "./Documents.ts"

const tree = { version: packageJson.version, commands }

/** As `--name, -n` of each flag under that heading of the help. */
const flagsOf = (help: string, heading: string): ReadonlyArray<string> => {
  const part = new RegExp(`^${heading}\\n((?: {2}.*\\n?)*)`, "m").exec(help)?.[1] ?? ""
  return Array.from(part.matchAll(/^ {2}--([a-z-]+)(?:, -(\w))?/gm), ([, name, short]) => `${name} ${short ?? ""}`)
}

const help = (command: string) =>
  parse([...command.split(" "), "--help"]).pipe(
    Effect.map((parsed) => ("text" in parsed ? parsed.text : "")),
    Effect.provideService(CommandTree, tree)
  )

/** The commands that are no groups. */
const names = byWords(commands).flatMap(([words, entry]) => ("commands" in entry ? [] : [words]))

/** Of the tables of options, by the heading above. */
const documented = (text: string) => {
  const bySection = new Map<string, Array<string>>()
  for (const { cells, section } of rowsOf(text)) {
    const name = /`--([a-z-]+)/.exec(cells[0]!)?.[1]
    if (name === undefined) continue
    const short = /`-(\w)`/.exec(cells[0]!)?.[1] ?? ""
    bySection.set(section, [...(bySection.get(section) ?? []), `${name} ${short}`])
  }
  return bySection
}

layer(NodeServices.layer)("the documentation of the commands", (it) => {
  it.effect("is what they say of themselves: npm run docs", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* readText("docs/cli.md"), markdown(tree))
      assert.strictEqual(yield* readText("docs/lightningstream.1"), manPage(tree))
    })
  )

  it.effect("has every command and every option that the help has, where it belongs, and no other", () =>
    Effect.gen(function* () {
      const sections = documented(markdown(tree))
      for (const command of names) {
        const text = yield* help(command)
        assert.sameMembers(sections.get(`\`${command}\``) ?? [], [...flagsOf(text, "FLAGS")], command)
        const shared = [...flagsOf(text, "INHERITED FLAGS"), ...flagsOf(text, "GLOBAL FLAGS")]
        assert.sameMembers(sections.get("Options of every command")!, shared, command)
      }
    })
  )

  it("fits a terminal of 80 columns in what commands say in detail", () => {
    const wide = byWords(commands).flatMap(([words, entry]) =>
      "commands" in entry
        ? []
        : (entry.details ?? "")
            .split("\n")
            .filter((line) => line.length > 78 && !line.startsWith("    "))
            .map((line) => `${words}: ${line}`)
    )
    assert.deepStrictEqual(wide, [])
  })
})
