/**
 * Before `snapshots put` stores a file: whether it is what its name says, and can be merged here. The newest object of
 * an instance stands for all that it holds, so a wrong one hides what was there.
 */
import { Effect, Schema } from "effect"
import type { SnapshotName } from "../../domain/snapshot/SnapshotName.ts"
import type { DatabaseOptions } from "../../services/Database.ts"
import type { Spooled } from "../../services/Spool.ts"
import * as Mode from "../engine/merge/Mode.ts"
import * as CheckedSnapshot from "../verify/CheckedSnapshot.ts"

export class NotThatSnapshot extends Schema.TaggedError<NotThatSnapshot>()("NotThatSnapshot", {
  name: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `not uploaded as ${this.name}: ${this.problem}. --force uploads it all the same`
  }
}

/** `options`: of the database in the name. */
export const check = Effect.fn("UploadCheck.check")(function* (
  name: SnapshotName,
  options: DatabaseOptions,
  spooled: Spooled
) {
  const refuse = (problem: string) => new NotThatSnapshot({ name: name.text, problem })
  const { meta } = yield* CheckedSnapshot.check(Mode.of(options), undefined, name.format, spooled).pipe(
    Effect.mapError((error) => (error._tag === "SpoolError" ? error : refuse(error.message)))
  )
  if (meta.databaseName !== name.database) return yield* refuse(`it is of database "${meta.databaseName}"`)
  if (name.kind === "snapshot" && meta.fromLmdbTxnID !== 0n)
    return yield* refuse("it is a delta, which holds only what has changed, under the name of a full snapshot")
})
