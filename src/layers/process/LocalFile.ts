/** A file of this machine as a stream of bytes, for commands that work on a copy of an object. */
import { Effect, FileSystem, Schema, Stream } from "effect"

export class FileUnreadable extends Schema.TaggedError<FileUnreadable>()("FileUnreadable", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `the file ${this.path} cannot be read: ${this.problem}`
  }
}

/** Can be run more than once. */
export const read = (path: string) =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream(path))).pipe(
    Stream.map((chunk) => new Uint8Array(chunk)),
    Stream.mapError((error) => new FileUnreadable({ path, problem: error.message }))
  )
