/** A process of a test that ended otherwise than it should. */
import { Schema } from "effect"

export class ProcessFailed extends Schema.TaggedError<ProcessFailed>()("ProcessFailed", {
  /** What it did: `ended with 1`. */
  what: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `${this.what}:\n${this.output}`
  }
}
