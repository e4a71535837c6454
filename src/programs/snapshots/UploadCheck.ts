/**
 * Checks, before `snapshots put` stores a file, that its content matches its name and can be merged here. The newest
 * object of an instance represents all of its data, so a wrong object would hide them.
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
    return `not uploaded as ${this.name}: ${this.problem}. Use --force to upload it anyway`
  }
}

/** Fails with the reason for a refusal. `options` are those of the database in the name. */
export const check = Effect.fn("UploadCheck.check")(function* (
  name: SnapshotName,
  options: DatabaseOptions,
  spooled: Spooled
) {
  const refuse = (problem: string) => new NotThatSnapshot({ name: name.text, problem })
  const { meta } = yield* CheckedSnapshot.check(Mode.of(options), undefined, name.format, spooled).pipe(
    Effect.mapError((error) => (error._tag === "SpoolError" ? error : refuse(error.message)))
  )
  if (meta.databaseName !== name.database) return yield* refuse(`it is a snapshot of database "${meta.databaseName}"`)
  if (name.kind === "snapshot" && meta.fromLmdbTxnID !== 0n)
    return yield* refuse("it is a delta, which contains only changes, but has the name of a full snapshot")
})
