/**
 * A place for one compressed snapshot, written once and read any number of times, by whichever thread: in memory up to
 * `spool_memory`, beyond that in an unlinked temporary file of `spool_directory`, which nobody finds and which is gone
 * with the process.
 *
 * Guarantees: what was appended is read back byte for byte; the place is freed when its scope closes; readers get
 * buffers of their own. A place belongs to the thread that opened it, which is also the one that frees it. The writer
 * and the readers may be in another thread of the process: `SpoolPlace` and `Spooled` are plain data that survive a
 * structured clone (a file descriptor counts in all threads, a SharedArrayBuffer is shared).
 */
import { Context, type Effect, Schema, SchemaGetter, type Scope, type Stream } from "effect"

/**
 * What was done to which folder, the system's error code (ENOSPC, EACCES …) and what to do. All are retryable: space
 * may be freed.
 */
export class SpoolError extends Schema.TaggedError<SpoolError>()("SpoolError", {
  operation: Schema.Literals(["open", "write", "read"]),
  directory: Schema.String,
  code: Schema.String
}) {
  override get message(): string {
    const advice =
      this.code === "ENOSPC" || this.code === "EDQUOT"
        ? "the disk is full: free space there, or set spool_directory to a folder on a larger disk"
        : "check that spool_directory exists and is writable by this user"
    return `spool in ${this.directory}: ${this.operation} failed with ${this.code}: ${advice}`
  }
  get retryable(): boolean {
    return true
  }
}

/** Crosses threads as it is: it is not encoded. */
const asItIs = Schema.link<SharedArrayBuffer>()(Schema.Any, {
  decode: SchemaGetter.passthrough(),
  encode: SchemaGetter.passthrough()
})

const Shared = Schema.declare((value: unknown): value is SharedArrayBuffer => value instanceof SharedArrayBuffer, {
  toCodecJson: () => asItIs
})

/** An open, still empty place. */
export const SpoolPlace = Schema.Struct({ fd: Schema.Int, directory: Schema.String, memoryLimit: Schema.Int })
export type SpoolPlace = typeof SpoolPlace.Type

/** Bytes `start` to `end` (exclusive) of what was written, in the order of writing. */
export const Extent = Schema.Struct({ start: Schema.Int, end: Schema.Int })
export type Extent = typeof Extent.Type

/**
 * A place that was written: in `memory`, one block after the other, or, if that is empty, in the file from offset 0.
 * What is read are its extents, one after the other, `size` bytes in all: not always in the order of writing, and after
 * a revision not all that was written.
 */
export const Spooled = Schema.Struct({
  place: SpoolPlace,
  size: Schema.Int,
  memory: Schema.Array(Shared),
  extents: Schema.Array(Extent)
})
export type Spooled = typeof Spooled.Type

/** Bytes of the place that have been written, those that nobody reads any more included. */
export const writtenBytes = ({ extents }: Spooled): number => extents.reduce((most, { end }) => Math.max(most, end), 0)

export interface SpoolWriter {
  /** Takes a copy: the chunk may be reused afterwards. */
  readonly append: (chunk: Uint8Array) => Effect.Effect<void, SpoolError>
  /** Marks this position, for what is not known yet. At most a few: each makes an extent. */
  readonly mark: () => number
  /** Puts a chunk at the position of a mark, after what was put there before. Takes a copy. */
  readonly insert: (mark: number, chunk: Uint8Array) => Effect.Effect<void, SpoolError>
  /** Ends the writing. The place was written completely. */
  readonly finish: Effect.Effect<Spooled, SpoolError>
}

/**
 * Writes behind what is there. That stays as it is: whether the revision is finished or not, the earlier `Spooled`
 * reads as before.
 */
export interface SpoolReviser extends SpoolWriter {
  /** Appends bytes `start` to `end` (exclusive) of the earlier one, where they are: nothing is copied. */
  readonly take: (start: number, end: number) => void
}

export class Spool extends Context.Service<
  Spool,
  {
    /** Freed when the scope closes. Only then: no reader may be under way. */
    readonly open: Effect.Effect<SpoolPlace, SpoolError, Scope.Scope>
    readonly writer: (place: SpoolPlace) => SpoolWriter
    /** Makes another content of the same place. One at a time. */
    readonly revise: (spooled: Spooled) => SpoolReviser
    /**
     * Fills the target from byte `start` on, without allocating. It is the caller's again when this has ended,
     * interrupted or not.
     */
    readonly readInto: (
      spooled: Spooled,
      start: number,
      target: Uint8Array<ArrayBuffer>
    ) => Effect.Effect<void, SpoolError>
    /**
     * Bytes `start` (0) to `end` (the size, exclusive), in chunks of 256 KiB at most, each in an ArrayBuffer of its
     * own.
     */
    readonly read: (
      spooled: Spooled,
      range?: { readonly start: number; readonly end: number }
    ) => Stream.Stream<Uint8Array<ArrayBuffer>, SpoolError>
  }
>()("lightningstream/services/Spool") {}
