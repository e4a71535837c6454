/** Writes docs/cli.md. */
import type { CommandTree } from "../CommandDefinition.ts"
import { globalFlags } from "../GlobalFlags.ts"
import { factsOf, type ParamFacts } from "../Flags.ts"
import { type CommandReference, referencesOf } from "./CommandReference.ts"
import { after, before, type Chapter, exitCodes, globalOptions, introduction } from "./GeneralHelp.ts"

const cell = (text: string): string => text.replaceAll("|", "\\|")

const table = (head: readonly [string, string], rows: ReadonlyArray<readonly [string, string]>): string =>
  [head, ["---", "---"], ...rows.map((row) => row.map(cell))]
    .map(([left, right]) => `| ${left} | ${right} |`)
    .join("\n")

const optionRow = ({ description, isSwitch, metavar, name, short }: ParamFacts) =>
  [`${short === undefined ? "" : `\`-${short}\`, `}\`--${name}${isSwitch ? "" : ` ${metavar}`}\``, description] as const

const argumentRow = ({ description, metavar }: ParamFacts) => [`\`${metavar}\``, description] as const

/** Returns an empty list for a command without parameters. */
const paramTable = (head: string, rows: ReadonlyArray<readonly [string, string]>): ReadonlyArray<string> =>
  rows.length === 0 ? [] : [table([head, "what it does"], rows)]

const indented = (lines: ReadonlyArray<string>): string => lines.map((line) => `    ${line}`).join("\n")

const commandParts = ({ args, details, examples, options, summary, usage, words }: CommandReference) => [
  `## \`${words}\``,
  `${summary}.`,
  indented([usage]),
  ...(details === "" ? [] : [details]),
  ...paramTable("argument", args.map(argumentRow)),
  ...paramTable("option", options.map(optionRow)),
  `Examples:`,
  ...examples.map(({ command, description }) => indented([`# ${description}`, command]))
]

const chapterParts = ({ text, title }: Chapter) => [`## ${title}`, text.trim()]

const helpFlag = {
  name: "help",
  short: "h",
  metavar: "",
  description: "Print the help of the command",
  isSwitch: true,
  isList: false,
  isRequired: false
}

export const markdown = (tree: CommandTree["Service"]): string =>
  `${[
    "# The command line",
    "This text is generated from the help of the commands by `npm run docs`.",
    introduction.slice(1, -1),
    "What the daemon does with the data is in [sync.md](sync.md), every key of the configuration file in\n" +
      "[configuration.md](configuration.md), how to run it and what its messages mean in [operations.md](operations.md).",
    "## Options of every command",
    globalOptions.trim(),
    ...paramTable("option", [...Object.values(globalFlags).map(factsOf), helpFlag].map(optionRow)),
    ...before.flatMap(chapterParts),
    ...referencesOf(tree).flatMap(commandParts),
    ...after.flatMap(chapterParts),
    "## Exit codes",
    table(["code", "when"], exitCodes)
  ].join("\n\n")}\n`
