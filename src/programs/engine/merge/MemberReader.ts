/**
 * The members of a snapshot in the spool, as a merge takes them. Those that say how long they are come one by one, each
 * whole, a few of them being read and decompressed ahead on the thread pool; those that are known are not decompressed
 * before somebody asks. All others come in chunks.
 */
import { Effect, Fiber, Stream } from "effect"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"
import { Compression, CompressionError, type Members } from "../../../services/Compression.ts"
import type { MergeRequest } from "../../../services/Database.ts"
import { Spool, type SpoolError } from "../../../services/Spool.ts"
import type { KnownMember, KnownMembersNow } from "./KnownMembers.ts"
import type { Bytes } from "../../../domain/bytes/Bytes.ts"

type SourceError = CompressionError | SpoolError
type Chunks = Stream.Stream<Item, SourceError>

/** A member that says how long it is. */
export interface Whole {
  /** Of the compressed bytes. */
  readonly digest: string
  readonly known: KnownMember | undefined
  /** Decompressed. */
  readonly content: Effect.Effect<Bytes, SourceError>
}

/** A member, or a chunk of the uncompressed bytes, which is valid until the next item is pulled. */
export type Item = Whole | Bytes

/** Members that are read ahead. */
const ahead = 3
/** Bytes of a member, compressed or not: a larger one comes in chunks. */
const largestWhole = 4 * 2 ** 20
/** Bytes of the spool that are read at once. */
const windowBytes = 2 ** 20
/** Bytes of a buffer for a compressed member: most have less. */
const memberBytes = 2 ** 19

/** Of a part that begins at `start`. */
const placed =
  (start: number) =>
  ({ format, offset, problem }: CompressionError) =>
    new CompressionError({ format, problem, offset: start + offset })

const decompressed = ({ decompress }: Members, start: number, compressed: Bytes) =>
  Effect.mapError(decompress(compressed), placed(start))

/** Begins at the first byte each time. What it takes is let go with the scope. */
export const make = Effect.fnUntraced(function* ({ format, spooled }: MergeRequest, known: KnownMembersNow) {
  const spool = yield* Spool
  const compression = yield* Compression
  const scope = yield* Effect.scope
  const { decompress, members } = compression[format]

  const chunks = (start: number, end: number): Chunks =>
    decompress(spool.read(spooled, { start, end })).pipe(
      Stream.mapError((error) => (error instanceof CompressionError ? placed(start)(error) : error))
    )

  if (members === undefined) return chunks(0, spooled.size)

  // One buffer for all that is looked at: to let go of it each time would call the collector again and again.
  let window = { start: 0, length: 0, buffer: new Uint8Array(windowBytes) }
  /** Bytes `start` to `end`, or to the end of the snapshot; valid until the next call. */
  const read = Effect.fnUntraced(function* (start: number, wanted: number) {
    const end = Math.min(wanted, spooled.size)
    if (start < window.start || end > window.start + window.length) {
      const length = Math.min(Math.max(end - start, windowBytes), spooled.size - start)
      const buffer = length > window.buffer.length ? new Uint8Array(length) : window.buffer
      yield* spool.readInto(spooled, start, buffer.subarray(0, length))
      window = { start, length, buffer }
    }
    return window.buffer.subarray(start - window.start, end - window.start)
  })

  /** Of a known member, of which it was hoped that nobody asks. */
  const readAgain = Effect.fnUntraced(function* (members: Members, start: number, length: number) {
    const compressed = new Uint8Array(length)
    yield* spool.readInto(spooled, start, compressed)
    return yield* decompressed(members, start, compressed)
  })

  /**
   * Buffers of members that are decompressed: new memory costs thirty times as much as what is copied into it. Larger
   * ones than most need are not kept.
   */
  const spare: Array<Bytes> = []
  const room = (length: number): Bytes =>
    length > memberBytes ? new Uint8Array(length) : (spare.pop() ?? new Uint8Array(memberBytes))
  const giveBack = (buffer: Bytes) =>
    Effect.sync(() => (buffer.length > memberBytes ? releaseBuffer(buffer) : void spare.push(buffer)))

  /** Of a copy, since what is read next overwrites the window. */
  const decompressedCopy = (members: Members, start: number, compressed: Bytes) => {
    const { length } = compressed
    const buffer = room(length)
    buffer.set(compressed)
    return Effect.ensuring(decompressed(members, start, buffer.subarray(0, length)), giveBack(buffer))
  }

  const wholeOf = Effect.fnUntraced(function* (members: Members, start: number, compressed: Bytes) {
    const digest = compression.digestNow(compressed)
    const found = known.get(digest)
    if (found !== undefined)
      return { digest, known: found, content: readAgain(members, start, compressed.length) } satisfies Whole
    const fiber = yield* Effect.forkIn(decompressedCopy(members, start, compressed), scope, { startImmediately: true })
    return { digest, known: undefined, content: Fiber.join(fiber) } satisfies Whole
  })

  /** Members without a length, to the end; or zero bytes, after the last one. */
  const rest = (start: number, head: Bytes): Chunks =>
    start === 0 || head[0] !== 0
      ? chunks(start, spooled.size)
      : spool.read(spooled, { start, end: spooled.size }).pipe(
          Stream.mapAccumEffect(
            () => start,
            (offset, bytes: Bytes) => {
              const garbage = bytes.findIndex((byte) => byte !== 0)
              return garbage < 0
                ? Effect.succeed([offset + bytes.length, []] as const)
                : Effect.fail(
                    new CompressionError({
                      format,
                      problem: "something follows the last member",
                      offset: offset + garbage
                    })
                  )
            }
          )
        )

  /** What begins at `start`: a member, or a stream of chunks; and where the next begins. */
  const at = Effect.fnUntraced(function* (
    start: number
  ): Effect.fn.Return<readonly [Whole | Chunks, number] | undefined, SourceError> {
    if (start >= spooled.size && start > 0) return undefined
    const head = yield* read(start, start + members.headBytes)
    const length = members.lengthOf(head)
    const end = start + (length ?? Infinity)
    if (length === undefined || end > spooled.size) return [rest(start, head), spooled.size || Infinity] as const
    if (length > largestWhole) return [chunks(start, end), end] as const
    const compressed = yield* read(start, end)
    if (members.contentLength(compressed) > largestWhole) return [chunks(start, end), end] as const
    return [yield* wholeOf(members, start, compressed), end] as const
  })

  return Stream.unfold(0, at).pipe(
    Stream.buffer({ capacity: ahead }),
    Stream.flatMap((next) => (Stream.isStream(next) ? next : Stream.succeed(next)))
  )
})
