/** Writes the manual page lightningstream(1), in roff with the macros of man(7). */
import type { CommandTree } from "../CommandDefinition.ts"
import { globalFlags } from "../GlobalFlags.ts"
import { factsOf, type ParamFacts } from "../Flags.ts"
import { commandName } from "../UsageError.ts"
import { type CommandReference, referencesOf } from "./CommandReference.ts"
import { after, before, type Chapter, exitCodes, globalOptions, introduction, summary } from "./GeneralHelp.ts"

/** In roff, a dash is a hyphen, a backslash begins an escape, and a dot at the start of a line begins a macro. */
const escaped = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("`", "")
    .replaceAll("…", "...")
    .replace(/^([.'])/gm, "\\&$1")

/** Formats paragraphs, and code that is indented by four. */
const textOf = (text: string): string =>
  text
    .trim()
    .split(/\n{2,}/)
    .map((part) =>
      /^ {4}/.test(part) ? `.PP\n.nf\n.RS\n${escaped(part.replace(/^ {4}/gm, ""))}\n.RE\n.fi` : `.PP\n${escaped(part)}`
    )
    .join("\n")

const item = (label: string, text: string): string => `.TP\n${label}\n${escaped(text)}`

const option = ({ description, isSwitch, metavar, name, short }: ParamFacts): string => {
  const names = [...(short === undefined ? [] : [`-${short}`]), `--${name}`].map((one) => `\\fB${escaped(one)}\\fR`)
  return item(`${names.join(", ")}${isSwitch ? "" : ` \\fI${escaped(metavar)}\\fR`}`, description)
}

const argument = ({ description, metavar }: ParamFacts): string => item(`\\fI${escaped(metavar)}\\fR`, description)

const command = ({ args, details, examples, options, summary, usage, words }: CommandReference): string =>
  [
    `.SS "${escaped(words)}"`,
    `${escaped(summary)}.`,
    textOf(`    ${usage}`),
    ...(details === "" ? [] : [textOf(details)]),
    ...args.map(argument),
    ...options.map(option),
    ...examples.map((example) => `.PP\n${escaped(example.description)}:\n${textOf(`    ${example.command}`)}`)
  ].join("\n")

const chapter = ({ text, title }: Chapter): string => `.SH "${escaped(title.toUpperCase())}"\n${textOf(text)}`

export const manPage = (tree: CommandTree["Service"]): string =>
  `${[
    `.TH ${commandName.toUpperCase()} 1 "" "${commandName} ${tree.version}"`,
    `.SH NAME\n${commandName} \\- ${escaped(summary)}`,
    `.SH SYNOPSIS\n${textOf(introduction.slice(0, introduction.indexOf("\n\n")).slice(1))}`,
    `.SH DESCRIPTION\n${textOf(introduction.slice(introduction.indexOf("\n\n")))}`,
    `.SH OPTIONS\n${textOf(globalOptions)}`,
    ...Object.values(globalFlags).map(factsOf).map(option),
    ...before.map(chapter),
    ".SH COMMANDS",
    ...referencesOf(tree).map(command),
    ...after.map(chapter),
    '.SH "EXIT STATUS"',
    ...exitCodes.map(([code, when]) => item(`\\fB${escaped(code)}\\fR`, when))
  ].join("\n")}\n`
