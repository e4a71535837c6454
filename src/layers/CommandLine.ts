/**
 * Parses the command line. Versions are answered without loading the parser: they are what scripts and probes ask for.
 */
import { Effect, Schema } from "effect"
import type { Command } from "../domain/CommandLine.ts"
import { spell } from "../domain/CommandLineSpelling.ts"

export const commandName = "lightningstream"

/** Exit code 2. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  /** With `lightningstream` as the first word. */
  command: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.command}: ${this.problems.join(`\n${this.command}: `)}\nSee: ${this.command} --help`
  }
}

/** `args`: without the names of the runtime and the script. */
export const parse = Effect.fnUntraced(function* (args: ReadonlyArray<string>, version: string) {
  const spelled = spell(args)
  const wants = (flag: string) => spelled.flags.get(flag)?.[0] === "true"
  if (!wants("help") && spelled.unknown.length === 0) {
    if (wants("version")) return { _tag: "Print", text: `${commandName} version ${version}\n` } satisfies Command
    if (spelled.command[0] === "version" && spelled.operands.length === 0)
      return { _tag: "Print", text: `${version}\n` } satisfies Command
  }
  // Three things that take the event loop for 10 ms each. effect/cli makes a segmenter, and the first one reads the
  // locales.
  yield* Effect.sync(() => new Intl.Segmenter())
  yield* Effect.yieldNow
  const { parseSpelled } = yield* Effect.promise(() => import("./CommandLineParser.ts"))
  yield* Effect.yieldNow
  return yield* parseSpelled(spelled)
})
