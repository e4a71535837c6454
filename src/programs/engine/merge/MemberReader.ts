/**
 * Splits a spooled snapshot into members, for a merge.
 *
 * A member whose header contains its length is returned as a whole. A few of them are read and decompressed ahead on
 * the thread pool. A member whose digest is known is decompressed only when its content is requested, because a merge
 * skips most of these. Members without a length, which other writers create, and very large ones are returned as
 * chunks.
 */
import { Effect, Fiber, type Scope, Stream } from "effect"
import type { Bytes } from "../../../domain/bytes/Bytes.ts"
import { type Codec, Compression, CompressionError, type Members } from "../../../services/Compression.ts"
import type { SpooledSnapshot } from "../../../services/Database.ts"
import { Spool, type SpoolError } from "../../../services/Spool.ts"
import type { KnownMember, KnownMembersNow } from "./KnownMembers.ts"
import { MemberBuffers } from "./MemberBuffers.ts"
import { SpoolWindow } from "./SpoolWindow.ts"

type SourceError = CompressionError | SpoolError
type Chunks = Stream.Stream<Item, SourceError>

/** A member whose header contains its length. */
export interface Whole {
  /** Digest of the compressed bytes. */
  readonly digest: string
  readonly known: KnownMember | undefined
  /** Decompresses the member, or waits until that is done. */
  readonly content: Effect.Effect<Bytes, SourceError>
}

/** A member, or a chunk of uncompressed bytes, which is valid until the next item is pulled. */
export type Item = Whole | Bytes

/** Number of members that a merge reads and decompresses before they are requested. */
export const membersAhead = 3
/** Maximum size in bytes, compressed or not, of a member that is returned as a whole. Larger ones become chunks. */
const wholeBytesMax = 4 * 2 ** 20

/** The state of reading one snapshot, which all functions below share. */
interface Reading extends SpooledSnapshot {
  readonly spool: Spool["Service"]
  readonly codec: Codec
  readonly digestNow: Compression["Service"]["digestNow"]
  readonly known: KnownMembersNow
  readonly window: SpoolWindow
  readonly buffers: MemberBuffers
  /** Scope that ends decompressions ahead. */
  readonly scope: Scope.Scope
}

/** Converts offsets in a part that begins at `start` to offsets in the snapshot. */
const offsetsFrom =
  (start: number) =>
  (error: CompressionError): CompressionError =>
    new CompressionError({ format: error.format, problem: error.problem, offset: start + error.offset })

const decompressChunks = ({ codec, spool, spooled }: Reading, start: number, end: number): Chunks =>
  codec
    .decompress(spool.read(spooled, { start, end }))
    .pipe(Stream.mapError((error) => (error instanceof CompressionError ? offsetsFrom(start)(error) : error)))

const decompressMember = ({ decompress }: Members, start: number, compressed: Bytes) =>
  Effect.mapError(decompress(compressed), offsetsFrom(start))

/** Reads a known member again, because its bytes are no longer in the window. */
const readAgain = Effect.fnUntraced(function* (
  { spool, spooled }: Reading,
  members: Members,
  start: number,
  length: number
) {
  const compressed = new Uint8Array(length)
  yield* spool.readInto(spooled, start, compressed)
  return yield* decompressMember(members, start, compressed)
})

const readWhole = Effect.fnUntraced(function* (reading: Reading, members: Members, start: number, compressed: Bytes) {
  const digest = reading.digestNow(compressed)
  const known = reading.known.get(digest)
  if (known !== undefined) {
    return { digest, known, content: readAgain(reading, members, start, compressed.length) } satisfies Whole
  }
  // A copy is decompressed, because the next read overwrites the window.
  const content = reading.buffers.withCopy(compressed, (copy) => decompressMember(members, start, copy))
  const fiber = yield* Effect.forkIn(content, reading.scope, { startImmediately: true })
  return { digest, known, content: Fiber.join(fiber) } satisfies Whole
})

/**
 * Fails if there is anything but zero bytes between `start`, where the last member ends, and the end of the snapshot.
 */
const checkPadding = ({ format, spool, spooled }: Reading, start: number): Chunks =>
  spool.read(spooled, { start, end: spooled.size }).pipe(
    Stream.mapAccumEffect(
      () => start,
      (offset, bytes: Bytes) => {
        const garbage = bytes.findIndex((byte) => byte !== 0)
        if (garbage < 0) return Effect.succeed([offset + bytes.length, []] as const)
        const problem = "something follows the last member"
        return Effect.fail(new CompressionError({ format, problem, offset: offset + garbage }))
      }
    )
  )

/** Reads a member or a stream of chunks that begins at `start`. Returns it with the offset of the next one. */
const readNext = Effect.fnUntraced(function* (
  reading: Reading,
  members: Members,
  start: number
): Effect.fn.Return<readonly [Whole | Chunks, number] | undefined, SourceError> {
  const { size } = reading.spooled
  if (start >= size && start > 0) return undefined
  const head = yield* reading.window.read(start, start + members.headBytes)
  const length = members.lengthOf(head)
  const end = start + (length ?? Infinity)
  if (length === undefined || end > size) {
    const isPadding = start > 0 && head[0] === 0
    const rest = isPadding ? checkPadding(reading, start) : decompressChunks(reading, start, size)
    return [rest, size || Infinity] as const
  }
  if (length > wholeBytesMax) return [decompressChunks(reading, start, end), end] as const
  const compressed = yield* reading.window.read(start, end)
  if (members.contentLength(compressed) > wholeBytesMax) return [decompressChunks(reading, start, end), end] as const
  return [yield* readWhole(reading, members, start, compressed), end] as const
})

/**
 * Reads the snapshot from its first byte. Buffers and decompressions end with the scope. `ahead` is the number
 * of members that are read and decompressed before they are requested, each of which takes memory.
 */
export const make = Effect.fnUntraced(function* (snapshot: SpooledSnapshot, known: KnownMembersNow, ahead: number) {
  const spool = yield* Spool
  const compression = yield* Compression
  const codec = compression[snapshot.format]
  const reading: Reading = {
    ...snapshot,
    spool,
    codec,
    digestNow: compression.digestNow,
    known,
    window: new SpoolWindow(spool, snapshot.spooled),
    buffers: new MemberBuffers(),
    scope: yield* Effect.scope
  }
  const { members } = codec
  if (members === undefined) return decompressChunks(reading, 0, snapshot.spooled.size)
  const all = Stream.unfold(0, (start) => readNext(reading, members, start))
  return (ahead === 0 ? all : Stream.buffer(all, { capacity: ahead })).pipe(
    Stream.flatMap((next) => (Stream.isStream(next) ? next : Stream.succeed(next)))
  )
})
