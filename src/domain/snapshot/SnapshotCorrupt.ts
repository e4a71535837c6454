/** The bytes are not a valid snapshot. Reading them again gives the same result; another download may be intact. */
import { Schema } from "effect"

export class SnapshotCorrupt extends Schema.TaggedError<SnapshotCorrupt>()("SnapshotCorrupt", {
  /** The problem, for messages. */
  problem: Schema.String,
  /** Uncompressed bytes before the problem. Absent where only the entry is known. */
  offset: Schema.optionalKey(Schema.Finite)
}) {
  override get message(): string {
    return this.offset === undefined
      ? this.problem
      : `${this.problem}, near byte ${this.offset} of the uncompressed snapshot`
  }
}
