/** docs/cli.md and `--help` say the same. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { commands } from "../../src/domain/CommandLineSpelling.ts"
import { parse } from "../../src/layers/CommandLine.ts"
import { readText, rowsOf } from "./Documents.ts"

/** As `--name, -n` of each flag under that heading of the help. */
const flagsOf = (help: string, heading: string): ReadonlyArray<string> => {
  const part = new RegExp(`^${heading}\\n((?: {2}.*\\n?)*)`, "m").exec(help)?.[1] ?? ""
  return Array.from(part.matchAll(/^ {2}--([a-z-]+)(?:, -(\w))?/gm), ([, name, short]) => `${name} ${short ?? ""}`)
}

const help = (command: string) =>
  Effect.map(parse([...command.split(" "), "--help"], ""), (parsed) => (parsed._tag === "Print" ? parsed.text : ""))

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
      for (const command of Object.keys(commands)) {
        const text = yield* help(command)
        const own = flagsOf(text, "FLAGS").toSorted()
        // Said once, for both.
        const section = command === "receive" ? "`sync`" : `\`${command}\``
        assert.deepStrictEqual((sections.get(section) ?? []).toSorted(), command === "help" ? [] : own, command)
        if (command === "help") continue
        const shared = [...flagsOf(text, "INHERITED FLAGS"), ...flagsOf(text, "GLOBAL FLAGS")]
        assert.deepStrictEqual(sections.get("Options of every command")!.toSorted(), shared.toSorted(), command)
      }
    })
  )

  it.effect("has every command", () =>
    Effect.gen(function* () {
      const headings = Array.from((yield* readText("docs/cli.md")).matchAll(/^## (.*)$/gm), ([, heading]) => heading!)
      const words = headings.flatMap((heading) => Array.from(heading.matchAll(/`([^`]+)`/g), ([, word]) => word!))
      assert.deepStrictEqual(
        words.toSorted(),
        Object.keys(commands)
          .filter((command) => command !== "snapshots")
          .toSorted()
      )
    })
  )
})
