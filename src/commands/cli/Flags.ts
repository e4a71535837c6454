/** Constructors of flags and arguments for the commands, which add to those of effect/cli what all flags here share. */
import { Duration, Option } from "effect"
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as GoByteSize from "../../domain/settings/values/GoByteSize.ts"
import * as GoDuration from "../../domain/settings/values/GoDuration.ts"
import * as TimeText from "../../domain/snapshot/TimeText.ts"

/**
 * Flags and arguments by the names that the handler uses. Arguments are in the order of the command line.
 */
export type Params = Readonly<Record<string, Param.Any>>

/** The decoded values of flags and arguments. */
export type Given<P extends Params> = {
  readonly [Name in keyof P]: P[Name] extends Param.Param<Param.ParamKind, infer A> ? A : never
}

type Node =
  | Param.Single<Param.ParamKind, unknown>
  | { readonly _tag: "Map" | "Transform" | "Optional" | "Variadic"; readonly param: Param.Any }

export interface ParamFacts {
  readonly name: string
  readonly short: string | undefined
  /** Stands for the value in the help. */
  readonly metavar: string
  readonly description: string
  /** Whether the flag has no value. */
  readonly isSwitch: boolean
  /** Whether it may be given more than once. */
  readonly isList: boolean
  readonly isRequired: boolean
}

/** Returns the definition of a flag or an argument, which effect/cli keeps inside the values derived from it. */
export const factsOf = (param: Param.Any): ParamFacts => {
  const node = param as unknown as Node
  if (node._tag !== "Single") {
    const inner = factsOf(node.param)
    const isRequired = inner.isRequired && node._tag !== "Optional" && node._tag !== "Variadic"
    return { ...inner, isRequired, isList: inner.isList || node._tag === "Variadic" }
  }
  const { aliases, description, name, primitiveType, typeName } = node
  return {
    name,
    short: aliases.find((alias) => alias.length === 1),
    metavar: typeName ?? name.toUpperCase(),
    description: Option.getOrElse(description, () => ""),
    isSwitch: primitiveType._tag === "Boolean",
    isList: false,
    isRequired: primitiveType._tag !== "Boolean"
  }
}

export const about = Flag.withDescription

/** Defines a flag that takes a value. `metavar` names the value in the help. */
export const text = (name: string, metavar: string) => Flag.String(name).pipe(Flag.withMetavar(metavar))

/** Defines a flag that is off unless it is given. */
export const toggle = (name: string) => Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDefault(false))

/** Makes a flag or argument optional: its value is undefined when it is not given. */
export const optional = <Kind extends Param.ParamKind, A>(
  param: Param.Param<Kind, A>
): Param.Param<Kind, A | undefined> => Param.map(Param.optional(param), Option.getOrUndefined)

/** Defines a flag with a fixed set of words, undefined when it is not given. `read` converts other spellings. */
export const oneOf = <const Words extends ReadonlyArray<string>>(
  name: string,
  words: Words,
  read: (given: string) => string = (given) => given
) =>
  text(name, words.join("|")).pipe(
    Flag.filterMap(
      (given): Option.Option<Words[number]> => Option.fromUndefinedOr(words.find((word) => word === read(given))),
      () => `Expected one of ${words.join(", ")}`
    ),
    optional
  )

/** Defines a flag with a duration in Go's notation that is not negative. */
export const duration = (name: string) =>
  text(name, "DURATION").pipe(
    Flag.filterMap(
      (given) =>
        Option.filter(Option.fromUndefinedOr(GoDuration.parse(given)), (parsed) => !Duration.isNegative(parsed)),
      () => `Expected ${GoDuration.expected}, not negative`
    )
  )

/** Defines a flag with a size in bytes, greater than 0. */
export const byteSize = (name: string) =>
  text(name, "SIZE").pipe(
    Flag.filterMap(
      (given) => Option.filter(Option.fromUndefinedOr(GoByteSize.parse(given)), (size) => size > 0),
      () => `Expected ${GoByteSize.expected}, greater than 0`
    )
  )

/** Defines a flag with a time. Its value is in nanoseconds since the UNIX epoch. */
export const timestamp = (name: string) =>
  text(name, "TIME").pipe(
    Flag.filterMap(
      (given) => Option.fromUndefinedOr(TimeText.parse(given)),
      () => `Expected ${TimeText.expected}`
    )
  )
