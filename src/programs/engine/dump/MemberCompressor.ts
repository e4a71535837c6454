/**
 * Compresses the members of a snapshot on the thread pool, a few at a time, and appends them to the spool in order.
 * Members that the last dump has already compressed are taken from its place.
 *
 * The buffers that members are encoded into are reused: `submit` takes a full one, and `buffer` returns an empty one.
 * While `membersInFlightMax` members are being compressed, `submit` waits for the oldest, which limits the memory of a
 * dump.
 */
import { Clock, Effect, Fiber, type Scope } from "effect"
import type { Bytes } from "../../../domain/bytes/Bytes.ts"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"
import type { Codec, Compression } from "../../../services/Compression.ts"
import type { SpoolError, SpoolWriter } from "../../../services/Spool.ts"
import type { Earlier, Pieces } from "./PreviousMembers.ts"
import { millisSince } from "../../Elapsed.ts"

/**
 * Number of members that are compressed at a time. It is large enough to keep the thread pool busy while the oldest
 * member, which may be large, is waited for. With 5, a send takes a tenth longer; with 12, it is not faster.
 */
const membersInFlightMax = 8
const firstBufferBytes = 2 ** 20
/**
 * Size in bytes above which a buffer is released after use, for about one member in fifty. Otherwise, all buffers would
 * grow to the size of the largest member.
 */
const keptBufferBytesMax = 2 ** 21

/** A member with entries, in the spool. */
export interface FinishedMember {
  /** Digest of the uncompressed bytes. */
  readonly contentDigest: string
  /** Digest of the compressed bytes. */
  readonly digest: string
  /** Offset of the compressed bytes, without the content of places, and their number. */
  readonly start: number
  readonly length: number
}

export type OnWritten = (written: FinishedMember) => void

/** A gap for a member whose content is known only after that of the following members. */
export interface Place {
  /** Mark in the spool, which is set when everything before the gap is written. */
  mark: number
}

interface Compressed {
  readonly pieces: Pieces
  readonly contentDigest: string
  readonly digest: string
  readonly isReused: boolean
}

interface MemberInFlight {
  readonly buffer: Bytes
  readonly length: number
  readonly compressed: Fiber.Fiber<Compressed, SpoolError>
  readonly onWritten: OnWritten
}

export interface MemberCompressorOptions {
  readonly codec: Codec
  readonly digests: Pick<Compression["Service"], "digest" | "digestNow">
  readonly writer: SpoolWriter
  /** Scope that ends compressions in progress. */
  readonly scope: Scope.Scope
  /** Members of the last dump, if they are available. */
  readonly earlier: Earlier | undefined
}

export class MemberCompressor {
  /** Uncompressed bytes of all members. */
  bytes = 0
  /** Uncompressed bytes of the members that were taken from the last dump. */
  reusedBytes = 0
  /** Time spent waiting for compression and spool. */
  waitedMillis = 0

  readonly #options: MemberCompressorOptions
  /** Members in flight and places, in the order of the snapshot. */
  readonly #queue: Array<MemberInFlight | Place> = []
  readonly #spareBuffers: Array<Bytes> = []
  #writtenBytes = 0

  constructor(options: MemberCompressorOptions) {
    this.#options = options
  }

  /** Returns an empty buffer. */
  buffer(): Bytes {
    return this.#spareBuffers.pop() ?? new Uint8Array(firstBufferBytes)
  }

  /** Takes over `buffer` and compresses `buffer[0..length)`. */
  submit(buffer: Bytes, length: number): Effect.Effect<void, SpoolError> {
    return this.#add(buffer, length, this.#compressHead(buffer.subarray(0, length)), () => undefined)
  }

  /** Does the same with a member of entries, which the last dump may have compressed. */
  submitEntries(buffer: Bytes, length: number, onWritten: OnWritten): Effect.Effect<void, SpoolError> {
    return this.#add(buffer, length, this.#compressEntries(buffer.subarray(0, length)), onWritten)
  }

  /** Leaves a gap for a member. */
  place(): Place {
    const place: Place = { mark: -1 }
    this.#queue.push(place)
    return place
  }

  /** Puts a member into the gap, after `drain`. Returns the number of its compressed bytes. */
  fill(place: Place, member: Bytes): Effect.Effect<number, SpoolError> {
    return Effect.gen({ self: this }, function* () {
      const { codec, writer } = this.#options
      this.bytes += member.length
      let length = 0
      for (const piece of yield* codec.compress(member)) {
        yield* writer.insert(place.mark, piece)
        length += piece.length
      }
      return length
    })
  }

  /** Waits until everything is in the spool. */
  readonly drain: Effect.Effect<void, SpoolError> = Effect.suspend(() => this.#drainTo(0))

  #compressHead(head: Bytes): Effect.Effect<Compressed, SpoolError> {
    return Effect.map(this.#options.codec.compress(head), (pieces) => ({
      pieces,
      contentDigest: "",
      digest: "",
      isReused: false
    }))
  }

  #compressEntries(member: Bytes): Effect.Effect<Compressed, SpoolError> {
    return Effect.gen({ self: this }, function* () {
      const { codec, digests, earlier } = this.#options
      const contentDigest = yield* digests.digest(member)
      const found = yield* earlier?.find(contentDigest) ?? Effect.undefined
      if (found !== undefined) return { ...found, contentDigest, isReused: true }
      const pieces = yield* codec.compress(member)
      return { pieces, contentDigest, digest: digests.digestNow(...pieces), isReused: false }
    })
  }

  #add(buffer: Bytes, length: number, compress: Effect.Effect<Compressed, SpoolError>, onWritten: OnWritten) {
    return Effect.gen({ self: this }, function* () {
      this.bytes += length
      const compressed = yield* Effect.forkIn(compress, this.#options.scope, { startImmediately: true })
      this.#queue.push({ buffer, length, compressed, onWritten })
      yield* this.#drainTo(membersInFlightMax - 1)
    })
  }

  /** Writes the oldest members until `count` are left. */
  #drainTo(count: number): Effect.Effect<void, SpoolError> {
    return Effect.whileLoop({
      while: () => this.#queue.length > count,
      body: () => this.#writeOldest,
      step: () => undefined
    })
  }

  readonly #writeOldest: Effect.Effect<void, SpoolError> = Effect.suspend(() => {
    const member = this.#queue.shift()
    if (member === undefined) return Effect.void
    if ("mark" in member) return Effect.sync(() => void (member.mark = this.#options.writer.mark()))
    return this.#writeMember(member)
  })

  #writeMember({ buffer, compressed, length, onWritten }: MemberInFlight): Effect.Effect<void, SpoolError> {
    return Effect.gen({ self: this }, function* () {
      const began = yield* Clock.monotonicTimeNanos
      const { contentDigest, digest, isReused, pieces } = yield* Fiber.join(compressed)
      const start = this.#writtenBytes
      yield* this.#write(pieces)
      if (isReused) this.reusedBytes += length
      onWritten({ contentDigest, digest, start, length: this.#writtenBytes - start })
      this.#recycle(buffer)
      this.waitedMillis += yield* millisSince(began)
    })
  }

  #write(pieces: Pieces): Effect.Effect<void, SpoolError> {
    return Effect.gen({ self: this }, function* () {
      const { earlier, writer } = this.#options
      if ("start" in pieces) {
        earlier?.reviser?.take(pieces.start, pieces.end)
        this.#writtenBytes += pieces.end - pieces.start
        return
      }
      for (const piece of pieces) {
        yield* writer.append(piece)
        this.#writtenBytes += piece.length
      }
      pieces.forEach(releaseBuffer)
    })
  }

  #recycle(buffer: Bytes): void {
    const isKept = buffer.length >= firstBufferBytes && buffer.length <= keptBufferBytesMax
    if (isKept) this.#spareBuffers.push(buffer)
    else releaseBuffer(buffer)
  }
}
