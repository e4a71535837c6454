/**
 * What a command is: one value with its name, help, examples, flags and handler. The grammar, the spellings of flags,
 * the help and the documentation are derived from it. A command is in one file and in the list of main.ts, nowhere
 * else.
 *
 * A file of a command imports no layer and no program directly, since the help of all commands is printed without them:
 * its handler loads them (Load.ts).
 */
import { Context, type Effect } from "effect"
import type { GlobalOptions } from "./GlobalFlags.ts"
import type { Given, Params } from "./Flags.ts"
import type { NotInstalled } from "./Load.ts"
import type { UsageError } from "./UsageError.ts"

export interface Example {
  /** A line for a shell. */
  readonly command: string
  readonly description: string
}

export interface CommandDefinition<P extends Params = any> {
  readonly name: string
  /** What the command does, on one line. */
  readonly summary: string
  /** What there is to know besides: paragraphs of at most 78 columns, and code that is indented by four. */
  readonly details?: string
  readonly examples: ReadonlyArray<Example>
  readonly params: P
  /** Runs the command. The result is the exit code; what failed has been reported by then. */
  readonly run: (
    given: Given<P>,
    global: GlobalOptions
  ) => Effect.Effect<number, NotInstalled | UsageError, CommandTree>
}

/** A word with commands below it. */
export interface CommandGroup {
  readonly name: string
  readonly summary: string
  readonly commands: ReadonlyArray<CommandDefinition>
}

/** All commands there are: for those that print help, and the parser. */
export class CommandTree extends Context.Service<
  CommandTree,
  {
    readonly version: string
    readonly commands: ReadonlyArray<CommandDefinition | CommandGroup>
  }
>()("lightningstream/commands/cli/CommandTree") {}

export const defineCommand = <const P extends Params>(definition: CommandDefinition<P>): CommandDefinition<P> =>
  definition
