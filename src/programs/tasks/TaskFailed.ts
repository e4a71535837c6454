/** Why a task of a command cannot do its work, in an LMDB that can be used otherwise. */
import { Schema } from "effect"

export class TaskFailed extends Schema.TaggedError<TaskFailed>()("TaskFailed", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}
