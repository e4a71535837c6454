/**
 * Defines a command as one value with its name, help, examples, flags and handler. The grammar, the spellings of flags,
 * the help and the documentation are derived from it. A command exists in one file and in the list of main.ts, nowhere
 * else.
 *
 * The file of a command imports no layer and no program directly, because the help of all commands is printed without
 * them. The handler loads them (Load.ts).
 */
import { Context, type Effect } from "effect"
import type { GlobalOptions } from "./GlobalFlags.ts"
import type { Given, Params } from "./Flags.ts"
import type { NotInstalled } from "./Load.ts"
import type { UsageError } from "./UsageError.ts"

export interface Example {
  /** A command line for a shell. */
  readonly command: string
  readonly description: string
}

export interface CommandDefinition<P extends Params = any> {
  readonly name: string
  /** Describes the command in one line. */
  readonly summary: string
  /** Further details: paragraphs of at most 78 columns, and code indented by four. */
  readonly details?: string
  readonly examples: ReadonlyArray<Example>
  readonly params: P
  /** Runs the command and returns the exit code. Failures have already been reported then. */
  readonly run: (
    given: Given<P>,
    global: GlobalOptions
  ) => Effect.Effect<number, NotInstalled | UsageError, CommandTree>
}

/** A group of commands under a common word. */
export interface CommandGroup {
  readonly name: string
  readonly summary: string
  readonly commands: ReadonlyArray<CommandDefinition>
}

/** All commands, for the parser and for the commands that print help. */
export class CommandTree extends Context.Service<
  CommandTree,
  {
    readonly version: string
    readonly commands: ReadonlyArray<CommandDefinition | CommandGroup>
  }
>()("lightningstream/commands/cli/CommandTree") {}

export const defineCommand = <const P extends Params>(definition: CommandDefinition<P>): CommandDefinition<P> =>
  definition
