/** A process of a test has not ended as expected. */
import { Schema } from "effect"

export class ProcessFailed extends Schema.TaggedError<ProcessFailed>()("ProcessFailed", {
  /** How it ended, such as `ended with 1`. */
  what: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `${this.what}:\n${this.output}`
  }
}
