/**
 * Compresses and decompresses snapshots as streams. A compressed snapshot is a sequence of members, each of which can
 * be decompressed on its own. Members can therefore be compressed in parallel, and equal content gives equal members.
 * Source: docs/format.md.
 */
import { Context, type Effect, Schema, type Stream } from "effect"

/**
 * The container is corrupt: it is truncated, has a wrong checksum or trailing garbage, or is in another format. Reading
 * it again gives the same result.
 */
export class CompressionError extends Schema.TaggedError<CompressionError>()("CompressionError", {
  format: Schema.String,
  /** The problem, for messages. */
  problem: Schema.String,
  /** Number of compressed bytes before the problem. */
  offset: Schema.Int
}) {
  override get message(): string {
    return `the ${this.format} container is corrupt near byte ${this.offset}: ${this.problem}`
  }
}

/** Members that have their length in their header, so that each can be found and decompressed on its own. */
export interface Members {
  /** Bytes that `lengthOf` needs. */
  readonly headBytes: number
  /**
   * Returns the compressed length of the member that begins with these bytes, or undefined if its header has none. Such
   * a member can be read only by `Codec.decompress`.
   */
  readonly lengthOf: (head: Uint8Array) => number | undefined
  /** Returns the announced uncompressed length of a whole member. It is not checked. */
  readonly contentLength: (member: Uint8Array) => number
  /**
   * Decompresses a whole member on the thread pool. The member must not change until that is done. The result belongs
   * to the caller. The offset of an error counts from the start of the member.
   */
  readonly decompress: (member: Uint8Array<ArrayBuffer>) => Effect.Effect<Uint8Array<ArrayBuffer>, CompressionError>
}

export interface Codec {
  /**
   * Compresses one member on the thread pool; several calls may run at once. `member` must not change until the call is
   * done. The result belongs to the caller and may consist of several pieces. It never fails, because it needs nothing
   * but memory.
   */
  readonly compress: (member: Uint8Array<ArrayBuffer>) => Effect.Effect<ReadonlyArray<Uint8Array<ArrayBuffer>>>
  /**
   * Decompresses any number of members, and accepts zero bytes after the last one. Emits chunks of about 256 KiB, each
   * valid until the next one is pulled.
   */
  readonly decompress: <E, R>(
    compressed: Stream.Stream<Uint8Array<ArrayBuffer>, E, R>
  ) => Stream.Stream<Uint8Array<ArrayBuffer>, CompressionError | E, R>
  /** Undefined if members of this format do not contain their length. */
  readonly members: Members | undefined
}

export class Compression extends Context.Service<
  Compression,
  {
    /** Format of objects with the extension `pb.gz`, which every release of Lightning Stream reads. */
    readonly gzip: Codec
    /** Format of objects with the extension `pb.zst`, which Lightning Stream ignores. */
    readonly zstd: Codec
    /**
     * Returns the SHA-256 digest as a text of 32 characters. It does not block the thread, whatever the number of
     * bytes.
     */
    readonly digest: (bytes: Uint8Array) => Effect.Effect<string>
    /**
     * Returns the digest of the concatenated pieces, synchronously. It is meant for compressed members, which are
     * small.
     */
    readonly digestNow: (...pieces: ReadonlyArray<Uint8Array>) => string
  }
>()("lightningstream/services/Compression") {}
