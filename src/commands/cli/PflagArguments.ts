/**
 * Normalizes arguments to one spelling: the words of the command, each flag as `--name=value`, then `--` and the
 * operands. Scripts written for Lightning Stream use everything that the Go package pflag accepts: `-cVALUE`,
 * `-c=VALUE`, `-lt`, `--debug=false`, flags before, between and after words, a value that begins with a dash, a flag
 * given twice (the last one counts). Arguments that are not recognized stay unchanged, so that the parser can report
 * them.
 */

export interface FlagSpelling {
  readonly name: string
  readonly short: string | undefined
  /** A `switch` takes a value only after `=`. A `list` may be given more than once. */
  readonly kind: "switch" | "value" | "list"
}

/** The known flags. Grammar derives them from the commands. */
export interface Spellings {
  readonly global: ReadonlyArray<FlagSpelling>
  /** Flags by the words of the command. A group of commands has no entry. */
  readonly commands: ReadonlyMap<string, ReadonlyArray<FlagSpelling>>
}

const isLeaf = ({ commands }: Spellings, words: ReadonlyArray<string>): boolean =>
  words.length > 0 && ![...commands.keys()].some((name) => name.startsWith(`${words.join(" ")} `))

export interface Spelled {
  /** The words of the command. Empty when there is no command or it is unknown. */
  readonly command: ReadonlyArray<string>
  /** True when the command takes operands, that is, when it is not a group. */
  readonly isLeaf: boolean
  /** Values of the known flags that were given, by name. A switch is "true" or "false". */
  readonly flags: ReadonlyMap<string, ReadonlyArray<string>>
  /** The flags that were given and are unknown. */
  readonly unknown: ReadonlyArray<string>
  readonly operands: ReadonlyArray<string>
}

/** Reads a boolean as Go's strconv.ParseBool does. Any other text stays unchanged, and the parser refuses it. */
const boolean = (text: string): string =>
  /^(?:1|t|T|true|TRUE|True)$/.test(text) ? "true" : /^(?:0|f|F|false|FALSE|False)$/.test(text) ? "false" : text

/** Scans the arguments for the flags in `known`. Words and operands keep their order. */
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
  /** A flag that needs a value takes the next argument, whatever it looks like. */
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

/** Returns the longest known command that the words begin with. */
const commandOf = (known: Spellings, words: ReadonlyArray<string>): ReadonlyArray<string> => {
  let length = 0
  const isNext = () =>
    known.commands.has(words.slice(0, length + 1).join(" ")) && !isLeaf(known, words.slice(0, length))
  while (length < words.length && isNext()) length++
  return words.slice(0, length)
}

export const spell = (known: Spellings, args: ReadonlyArray<string>): Spelled => {
  // Which flags take a value depends on the command, so the command is looked up with the global flags first.
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
 * Returns the arguments for a parser that accepts only `--name=value`. The operands of a group are passed as words, so
 * that the parser reports an unknown command.
 */
export const canonical = ({ command, flags, isLeaf, operands, unknown }: Spelled): ReadonlyArray<string> => [
  ...command,
  ...(isLeaf ? [] : operands),
  ...[...flags].flatMap(([name, values]) => values.map((value) => `--${name}=${value}`)),
  ...unknown,
  ...(isLeaf ? ["--", ...operands] : [])
]
