/** The bytes are not a valid snapshot: reading them again gives the same, another download may not. */
import { Schema } from "effect"

export class SnapshotCorrupt extends Schema.TaggedError<SnapshotCorrupt>()("SnapshotCorrupt", {
  /** What is wrong, for people. */
  problem: Schema.String,
  /** Uncompressed bytes before the place where it was noticed; absent where only the entry is known. */
  offset: Schema.optionalKey(Schema.Finite)
}) {
  override get message(): string {
    return this.offset === undefined
      ? this.problem
      : `${this.problem}, near byte ${this.offset} of the uncompressed snapshot`
  }
}
