/**
 * Places for compressed snapshots. Each place is written once and read any number of times, by any thread. It is kept
 * in memory up to `spool_memory`, and beyond that in an unlinked temporary file in `spool_directory`, which disappears
 * with the process.
 *
 * Guarantees: appended bytes are read back unchanged; the place is freed when its scope closes, by the thread that
 * opened it; readers get buffers of their own. Writers and readers may be in other threads: `SpoolPlace` and `Spooled`
 * are plain data that survive a structured clone (a file descriptor is valid in all threads, and a SharedArrayBuffer is
 * shared).
 */
import { Context, type Effect, Schema, SchemaGetter, type Scope, type Stream } from "effect"

/**
 * An operation on the spool directory failed with a system code (ENOSPC, EACCES …). All of them are retryable, because
 * space may be freed.
 */
export class SpoolError extends Schema.TaggedError<SpoolError>()("SpoolError", {
  operation: Schema.Literals(["open", "write", "read"]),
  directory: Schema.String,
  code: Schema.String
}) {
  override get message(): string {
    const advice =
      this.code === "ENOSPC" || this.code === "EDQUOT"
        ? "the disk is full: free space there, or set spool_directory to a directory on a larger disk"
        : "check that spool_directory exists and is writable by this user"
    return `spool in ${this.directory}: ${this.operation} failed with ${this.code}: ${advice}`
  }
  get retryable(): boolean {
    return true
  }
}

/** Passes data to another thread without encoding it. */
const asItIs = Schema.link<SharedArrayBuffer>()(Schema.Any, {
  decode: SchemaGetter.passthrough(),
  encode: SchemaGetter.passthrough()
})

const Shared = Schema.declare((value: unknown): value is SharedArrayBuffer => value instanceof SharedArrayBuffer, {
  toCodecJson: () => asItIs
})

/** A place that is open and empty. */
export const SpoolPlace = Schema.Struct({ fd: Schema.Int, directory: Schema.String, memoryLimit: Schema.Int })
export type SpoolPlace = typeof SpoolPlace.Type

/** Bytes `start` to `end` (exclusive) of a place, in the order of writing. */
export const Extent = Schema.Struct({ start: Schema.Int, end: Schema.Int })
export type Extent = typeof Extent.Type

/**
 * A place that was written. Its bytes are in the blocks of `memory` or, if there are none, in the file from offset 0.
 * Readers get its extents one after the other, `size` bytes in total. Their order may differ from the order of writing,
 * and after a revision they may omit bytes that were written.
 */
export const Spooled = Schema.Struct({
  place: SpoolPlace,
  size: Schema.Int,
  memory: Schema.Array(Shared),
  extents: Schema.Array(Extent)
})
export type Spooled = typeof Spooled.Type

/** Returns the number of bytes written to the place, unused ones included. */
export const writtenBytes = ({ extents }: Spooled): number => extents.reduce((most, { end }) => Math.max(most, end), 0)

export interface SpoolWriter {
  /** Appends a copy of the chunk. */
  readonly append: (chunk: Uint8Array) => Effect.Effect<void, SpoolError>
  /** Marks this position for bytes that are not known yet. Each mark makes an extent, so only a few should be used. */
  readonly mark: () => number
  /** Inserts a copy of the chunk at a mark, after earlier insertions there. */
  readonly insert: (mark: number, chunk: Uint8Array) => Effect.Effect<void, SpoolError>
  /** Ends the writing of the place. */
  readonly finish: Effect.Effect<Spooled, SpoolError>
}

/**
 * Writes new content after the existing content in the same place. The earlier `Spooled` stays readable, whether or not
 * the revision is finished.
 */
export interface SpoolReviser extends SpoolWriter {
  /** Appends bytes `start` to `end` (exclusive) of the earlier content without copying them. */
  readonly take: (start: number, end: number) => void
}

export class Spool extends Context.Service<
  Spool,
  {
    /** Opens a place, which is freed when the scope closes. No read may be in progress then. */
    readonly open: Effect.Effect<SpoolPlace, SpoolError, Scope.Scope>
    readonly writer: (place: SpoolPlace) => SpoolWriter
    /** Revises a place. There may be one revision at a time. */
    readonly revise: (spooled: Spooled) => SpoolReviser
    /**
     * Fills the target from byte `start` on, without allocating. The target belongs to the caller again when the call
     * has ended or was interrupted.
     */
    readonly readInto: (
      spooled: Spooled,
      start: number,
      target: Uint8Array<ArrayBuffer>
    ) => Effect.Effect<void, SpoolError>
    /**
     * Reads bytes `start` (default 0) to `end` (exclusive, default the size) in chunks of at most 256 KiB, each in an
     * ArrayBuffer of its own.
     */
    readonly read: (
      spooled: Spooled,
      range?: { readonly start: number; readonly end: number }
    ) => Stream.Stream<Uint8Array<ArrayBuffer>, SpoolError>
  }
>()("lightningstream/services/Spool") {}
