/**
 * Compresses the members of a snapshot, a few at once on the thread pool, and appends them to the spool in order. What
 * the last dump has compressed already is taken from where it is.
 *
 * The buffers that members are encoded into are reused: `submit` takes a full one, `buffer` gives an empty one. At most
 * `inFlight` members are being compressed; `submit` waits for the oldest beyond that, which is the back-pressure that
 * keeps the memory of a dump bounded.
 */
import { Clock, Effect, Fiber, type Scope } from "effect"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"
import type { Codec, Compression } from "../../../services/Compression.ts"
import type { SpoolError, SpoolWriter } from "../../../services/Spool.ts"
import type { Earlier, Pieces } from "./PreviousMembers.ts"
import type { Bytes } from "../../../domain/bytes/Bytes.ts"

/**
 * Enough that the thread pool has work while the oldest, which may be a large one, is waited for. Of 5 a send takes a
 * tenth longer, of 12 no less.
 */
const inFlight = 8
const firstBufferBytes = 2 ** 20
/**
 * One member in fifty has more: its buffer is released after use. If such ones were kept, all would become as large as
 * the largest member.
 */
const keptBufferBytes = 2 ** 21

interface Compressed {
  readonly pieces: Pieces
  /** Of what was compressed, and of the pieces. */
  readonly contentDigest: string
  readonly digest: string
  readonly reused: boolean
}

interface Member {
  readonly buffer: Bytes
  readonly length: number
  readonly compressed: Fiber.Fiber<Compressed, SpoolError>
  readonly onWritten: OnWritten
}

/** A member of entries. */
export interface FinishedMember {
  readonly contentDigest: string
  /** Of the compressed bytes. */
  readonly digest: string
  /** Where they begin, places not counted, and how many they are. */
  readonly start: number
  readonly length: number
}

export type OnWritten = (written: FinishedMember) => void

type Digests = Pick<Compression["Service"], "digest" | "digestNow">

/** A member whose content is known only after those behind it. */
export interface Place {
  /** Of the spool, once everything before it is there. */
  mark: number
}

export interface MemberPipeline {
  /** Takes `buffer` and compresses `buffer[0..length)`. */
  readonly submit: (buffer: Bytes, length: number) => Effect.Effect<void, SpoolError>
  /** The same with entries, which may have been compressed before. */
  readonly submitEntries: (buffer: Bytes, length: number, onWritten: OnWritten) => Effect.Effect<void, SpoolError>
  /** Keeps a place for a member. */
  readonly place: () => Place
  /** Puts the member there; after `drain`. How many compressed bytes it has. */
  readonly fill: (place: Place, member: Bytes) => Effect.Effect<number, SpoolError>
  /** Waits until everything is in the spool. */
  readonly drain: Effect.Effect<void, SpoolError>
  /** An empty buffer. */
  readonly buffer: () => Bytes
  /** Uncompressed. */
  readonly bytes: () => number
  /** Of these, found among the earlier ones. */
  readonly reused: () => number
  /** Milliseconds that were spent waiting for compression and spool. */
  readonly waited: () => number
}

/** Members that are under way end with the scope. */
export const make = (
  codec: Codec,
  { digest, digestNow }: Digests,
  writer: SpoolWriter,
  scope: Scope.Scope,
  earlier: Earlier | undefined
): MemberPipeline => {
  const members: Array<Member | Place> = []
  const free: Array<Bytes> = []
  let bytes = 0
  let reused = 0
  let waited = 0
  let written = 0

  const buffer = () => free.pop() ?? new Uint8Array(firstBufferBytes)

  const write = Effect.fnUntraced(function* (pieces: Pieces) {
    if ("start" in pieces) {
      earlier?.reviser?.take(pieces.start, pieces.end)
      written += pieces.end - pieces.start
      return
    }
    for (const piece of pieces) {
      yield* writer.append(piece)
      written += piece.length
    }
    pieces.forEach(releaseBuffer)
  })

  const writeOldest = Effect.gen(function* () {
    const member = members.shift()
    if (member === undefined) return
    if ("mark" in member) return void (member.mark = writer.mark())
    const began = yield* Clock.monotonicTimeNanos
    const { contentDigest, digest, pieces, reused: isReused } = yield* Fiber.join(member.compressed)
    const start = written
    yield* write(pieces)
    if (isReused) reused += member.length
    member.onWritten({ contentDigest, digest, start, length: written - start })
    if (member.buffer.length >= firstBufferBytes && member.buffer.length <= keptBufferBytes) free.push(member.buffer)
    else releaseBuffer(member.buffer)
    waited += Number((yield* Clock.monotonicTimeNanos) - began) / 1e6
  })

  const compressHead = (member: Bytes) =>
    Effect.map(codec.compress(member), (pieces): Compressed => ({
      pieces,
      contentDigest: "",
      digest: "",
      reused: false
    }))

  const compressEntries = Effect.fnUntraced(function* (member: Bytes) {
    const contentDigest = yield* digest(member)
    const found = yield* earlier?.find(contentDigest) ?? Effect.undefined
    if (found !== undefined) return { ...found, contentDigest, reused: true } satisfies Compressed
    const pieces = yield* codec.compress(member)
    return { pieces, contentDigest, digest: digestNow(...pieces), reused: false } satisfies Compressed
  })

  const add = Effect.fnUntraced(function* (
    full: Bytes,
    length: number,
    compressed: Effect.Effect<Compressed, SpoolError>,
    onWritten: OnWritten
  ) {
    bytes += length
    members.push({
      buffer: full,
      length,
      compressed: yield* Effect.forkIn(compressed, scope, { startImmediately: true }),
      onWritten
    })
    while (members.length >= inFlight) yield* writeOldest
  })

  return {
    submit: (full, length) => add(full, length, compressHead(full.subarray(0, length)), () => undefined),
    submitEntries: (full, length, onWritten) => add(full, length, compressEntries(full.subarray(0, length)), onWritten),
    place: () => {
      const place: Place = { mark: -1 }
      members.push(place)
      return place
    },
    fill: Effect.fnUntraced(function* (place, member) {
      bytes += member.length
      let length = 0
      for (const piece of yield* codec.compress(member)) {
        yield* writer.insert(place.mark, piece)
        length += piece.length
      }
      return length
    }),
    drain: Effect.whileLoop({ while: () => members.length > 0, body: () => writeOldest, step: () => undefined }),
    buffer,
    bytes: () => bytes,
    reused: () => reused,
    waited: () => waited
  }
}
