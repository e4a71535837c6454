/** The error of a task that cannot be done in an LMDB, although the LMDB itself is usable. */
import { Schema } from "effect"

export class TaskFailed extends Schema.TaggedError<TaskFailed>()("TaskFailed", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}
