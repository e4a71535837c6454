/**
 * Brings arguments into one spelling: the command's words, each flag as `--name=value`, then `--` and what the command
 * works on. Users of Lightning Stream have all that the Go package pflag takes in their scripts: `-cVALUE`, `-c=VALUE`,
 * `-lt`, `--debug=false`, flags before, between and after words, a value that begins with a dash, a flag given twice
 * (the last one counts). What it does not know stays as it is, so that the parser can say what is wrong with it.
 */

export interface FlagSpelling {
  readonly name: string
  readonly short: string | undefined
  /** `switch` has no value but after `=`; `list` may be given more than once. */
  readonly kind: "switch" | "value" | "list"
}

/** The flags there are. Grammar derives them from the commands. */
export interface Spellings {
  readonly global: ReadonlyArray<FlagSpelling>
  /** By the command's words. A group of commands has none. */
  readonly commands: ReadonlyMap<string, ReadonlyArray<FlagSpelling>>
}

const isLeaf = ({ commands }: Spellings, words: ReadonlyArray<string>): boolean =>
  words.length > 0 && ![...commands.keys()].some((name) => name.startsWith(`${words.join(" ")} `))

export interface Spelled {
  /** The command's words; empty: none, or one that is not known. */
  readonly command: ReadonlyArray<string>
  /** True when the command takes operands: it is no group. */
  readonly isLeaf: boolean
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
const commandOf = (known: Spellings, words: ReadonlyArray<string>): ReadonlyArray<string> => {
  let length = 0
  const isNext = () =>
    known.commands.has(words.slice(0, length + 1).join(" ")) && !isLeaf(known, words.slice(0, length))
  while (length < words.length && isNext()) length++
  return words.slice(0, length)
}

export const spell = (known: Spellings, args: ReadonlyArray<string>): Spelled => {
  // Which flags take a value depends on the command: it is looked for with the global ones first.
  const command = commandOf(known, scan(args, known.global).words)
  const { flags, operands, unknown, words } = scan(args, [
    ...known.global,
    ...(known.commands.get(command.join(" ")) ?? [])
  ])
  return {
    command,
    isLeaf: isLeaf(known, command),
    flags,
    unknown,
    operands: [...words.slice(command.length), ...operands]
  }
}

/**
 * For a parser that knows `--name=value`. Operands of a group are words: the parser says that there is no such command.
 */
export const canonical = ({ command, flags, isLeaf, operands, unknown }: Spelled): ReadonlyArray<string> => [
  ...command,
  ...(isLeaf ? [] : operands),
  ...[...flags].flatMap(([name, values]) => values.map((value) => `--${name}=${value}`)),
  ...unknown,
  ...(isLeaf ? ["--", ...operands] : [])
]
