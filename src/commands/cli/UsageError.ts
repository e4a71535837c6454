/** The problems of a command line, with a pointer to the help. The process ends with exit code 2. */
import { Schema } from "effect"

export const commandName = "lightningstream"

export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  /** The command as it was given, with `lightningstream` as its first word. */
  command: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.command}: ${this.problems.join(`\n${this.command}: `)}\nSee: ${this.command} --help`
  }
}
