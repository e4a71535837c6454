/**
 * Brings arguments into one spelling: the command's words, each flag as `--name=value`, then `--` and what the command
 * works on. Users of the reference have all that the Go package pflag takes in their scripts: `-cVALUE`, `-c=VALUE`,
 * `-lt`, `--debug=false`, flags before, between and after words, a value that begins with a dash, a flag given twice
 * (the last one counts). What it does not know stays as it is, so that the parser can say what is wrong with it.
 */

interface FlagSpelling {
  readonly name: string
  readonly short?: string
  /** `switch` has no value but after `=`; `list` may be given more than once. */
  readonly kind: "switch" | "value" | "list"
}

export const globalFlags: ReadonlyArray<FlagSpelling> = [
  { name: "config", short: "c", kind: "value" },
  { name: "instance", short: "i", kind: "value" },
  { name: "debug", kind: "switch" },
  { name: "log-config", kind: "switch" },
  { name: "log-level", kind: "value" },
  { name: "log-format", kind: "value" },
  { name: "log-timestamp", kind: "value" },
  { name: "minimum-pid", kind: "value" },
  { name: "timeout", kind: "value" },
  { name: "help", short: "h", kind: "switch" },
  { name: "version", kind: "switch" }
]

const syncFlags: ReadonlyArray<FlagSpelling> = [
  { name: "only-once", kind: "switch" },
  { name: "only-db", kind: "list" },
  { name: "wait-for-marker-file", kind: "value" },
  { name: "accept-stale", kind: "switch" }
]

/** By the command's words. One that has others below it takes nothing to work on. */
export const commands: Readonly<Record<string, ReadonlyArray<FlagSpelling>>> = {
  sync: syncFlags,
  receive: syncFlags,
  snapshots: [],
  "snapshots list": [
    { name: "prefix", short: "p", kind: "value" },
    { name: "long", short: "l", kind: "switch" },
    { name: "time", short: "t", kind: "switch" }
  ],
  "snapshots dump": [
    { name: "dbi", short: "d", kind: "value" },
    { name: "local", short: "l", kind: "switch" },
    { name: "format", short: "f", kind: "value" }
  ],
  "drop-shadow": [],
  version: [],
  help: []
}

const isLeaf = (words: ReadonlyArray<string>): boolean =>
  words.length > 0 && !Object.keys(commands).some((name) => name.startsWith(`${words.join(" ")} `))

export interface Spelled {
  /** The command's words; empty: none, or one that is not known. */
  readonly command: ReadonlyArray<string>
  /** Given flags that are known, by name; a switch is "true" or "false". */
  readonly flags: ReadonlyMap<string, ReadonlyArray<string>>
  /** Flags that are not known. */
  readonly unknown: ReadonlyArray<string>
  readonly operands: ReadonlyArray<string>
}

/** As Go's strconv.ParseBool; anything else stays, for the parser to refuse. */
const boolean = (text: string): string =>
  /^(?:1|t|T|true|TRUE|True)$/.test(text) ? "true" : /^(?:0|f|F|false|FALSE|False)$/.test(text) ? "false" : text

/** Goes over the arguments with the flags of `known`; words and operands come in their order. */
const scan = (args: ReadonlyArray<string>, known: ReadonlyArray<FlagSpelling>) => {
  const flags = new Map<string, Array<string>>()
  const unknown: Array<string> = []
  const words: Array<string> = []
  const operands: Array<string> = []
  const add = ({ kind, name }: FlagSpelling, value: string) =>
    void flags.set(
      name,
      kind === "list" ? [...(flags.get(name) ?? []), value] : [kind === "switch" ? boolean(value) : value]
    )
  let index = 0
  /** A flag that needs a value takes the next argument, whatever that looks like. */
  const takeNext = (flag: FlagSpelling, raw: string) => {
    const next = args[index]
    if (next === undefined) return void unknown.push(raw)
    index++
    add(flag, next)
  }
  const long = (argument: string) => {
    const [, name = "", , value] = /^--([^=]*)(=(.*))?$/s.exec(argument) ?? []
    const flag = known.find((one) => one.name === name)
    if (flag === undefined) unknown.push(argument)
    else if (value !== undefined) add(flag, value)
    else if (flag.kind === "switch") add(flag, "true")
    else takeNext(flag, argument)
  }
  const short = (argument: string) => {
    for (let at = 1; at < argument.length; at++) {
      const flag = known.find((one) => one.short === argument[at])
      const rest = argument.slice(at + 1)
      if (flag === undefined) return void unknown.push(`-${argument.slice(at)}`)
      if (rest.startsWith("=")) return add(flag, rest.slice(1))
      if (flag.kind === "switch") add(flag, "true")
      else return rest === "" ? takeNext(flag, `--${flag.name}`) : add(flag, rest)
    }
  }
  while (index < args.length) {
    const argument = args[index++]!
    if (argument === "--") {
      operands.push(...args.slice(index))
      break
    }
    if (argument.startsWith("--")) long(argument)
    else if (argument.startsWith("-") && argument !== "-") short(argument)
    else words.push(argument)
  }
  return { flags, unknown, words, operands }
}

/** The longest known command that the words begin with. */
const commandOf = (words: ReadonlyArray<string>): ReadonlyArray<string> => {
  let length = 0
  while (
    length < words.length &&
    Object.hasOwn(commands, words.slice(0, length + 1).join(" ")) &&
    !isLeaf(words.slice(0, length))
  )
    length++
  return words.slice(0, length)
}

export const spell = (args: ReadonlyArray<string>): Spelled => {
  // Which flags take a value depends on the command: it is looked for with the global ones first.
  const command = commandOf(scan(args, globalFlags).words)
  const { flags, operands, unknown, words } = scan(args, [...globalFlags, ...(commands[command.join(" ")] ?? [])])
  const rest = [...words.slice(command.length), ...operands]
  if (command[0] !== "help") return { command, flags, unknown, operands: rest }
  // `help snapshots list` is `snapshots list --help`; of what is not a command there is no help.
  const subject = commandOf(rest)
  const found = subject.length === rest.length
  return {
    command: subject,
    flags: found ? new Map([...flags, ["help", ["true"]]]) : flags,
    unknown,
    operands: rest.slice(subject.length)
  }
}

/**
 * For a parser that knows `--name=value`. Operands of a command with others below it are words: the parser says that
 * there is no such command.
 */
export const canonical = ({ command, flags, operands, unknown }: Spelled): ReadonlyArray<string> => [
  ...command,
  ...(isLeaf(command) ? [] : operands),
  ...[...flags].flatMap(([name, values]) => values.map((value) => `--${name}=${value}`)),
  ...unknown,
  ...(isLeaf(command) ? ["--", ...operands] : [])
]
