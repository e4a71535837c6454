/**
 * Compresses and decompresses snapshots, in a stream. What is written are members in a row, each a complete compressed
 * unit by itself, so that they can be made in parallel, and equal content gives equal members. Source: docs/format.md.
 */
import { Context, type Effect, Schema, type Stream } from "effect"

/**
 * The container is broken: truncated, a wrong checksum, trailing garbage, not this format at all. Reading again gives
 * the same.
 */
export class CompressionError extends Schema.TaggedError<CompressionError>()("CompressionError", {
  format: Schema.String,
  /** What is wrong, for people. */
  problem: Schema.String,
  /** Compressed bytes read until then. */
  offset: Schema.Int
}) {
  override get message(): string {
    return `the ${this.format} container is corrupt near byte ${this.offset}: ${this.problem}`
  }
}

/** Members that say how long they are: each can be found, and decompressed, by itself. */
export interface Members {
  /** Bytes that `lengthOf` wants to see. */
  readonly headBytes: number
  /**
   * Compressed bytes of the member that begins with these; undefined when it does not say: then only `Codec.decompress`
   * reads it.
   */
  readonly lengthOf: (head: Uint8Array) => number | undefined
  /** Uncompressed bytes of a member that says its length, as it says, which nobody has checked. */
  readonly contentLength: (member: Uint8Array) => number
  /**
   * A whole member, on the thread pool; it must not change until that is done. What comes is the caller's alone. The
   * offset of an error is within it.
   */
  readonly decompress: (member: Uint8Array<ArrayBuffer>) => Effect.Effect<Uint8Array<ArrayBuffer>, CompressionError>
}

export interface Codec {
  /**
   * One member, on the thread pool: several may be under way at once. `member` must not change until it is done;
   * afterwards it is the caller's again. The result, which is the caller's, too, may be several pieces. Never fails:
   * the memory for it is the only thing needed.
   */
  readonly compress: (member: Uint8Array<ArrayBuffer>) => Effect.Effect<ReadonlyArray<Uint8Array<ArrayBuffer>>>
  /**
   * Any number of members, and zero bytes after the last one. Chunks of about 256 KiB; each is valid until the next is
   * pulled.
   */
  readonly decompress: <E, R>(
    compressed: Stream.Stream<Uint8Array<ArrayBuffer>, E, R>
  ) => Stream.Stream<Uint8Array<ArrayBuffer>, CompressionError | E, R>
  /** Undefined where members do not say how long they are. */
  readonly members: Members | undefined
}

export class Compression extends Context.Service<
  Compression,
  {
    /** Of objects with the extension `pb.gz`: what every release of the reference reads. */
    readonly gzip: Codec
    /** Of objects with the extension `pb.zst`: the reference ignores them. */
    readonly zstd: Codec
    /**
     * SHA-256, as a text of 32 characters: equal digests are equal bytes. The thread gets its turns meanwhile, however
     * many bytes there are.
     */
    readonly digest: (bytes: Uint8Array) => Effect.Effect<string>
    /** The same of the pieces in a row, at once: for compressed members, which are small. */
    readonly digestNow: (...pieces: ReadonlyArray<Uint8Array>) => string
  }
>()("lightningstream/services/Compression") {}
