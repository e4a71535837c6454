/**
 * Where the members of the last dump are in its spool, by what they hold: a member that has not changed since stays
 * there, and is neither compressed nor written again. Equal entries give equal members, so most of them have not.
 */
import { Effect } from "effect"
import type { Compression } from "../../../services/Compression.ts"
import type { DumpRequest, SnapshotFormat } from "../../../services/Database.ts"
import {
  type Extent,
  Spool,
  type Spooled,
  type SpoolError,
  type SpoolReviser,
  writtenBytes
} from "../../../services/Spool.ts"

export interface CompressedMember {
  /** In the spool, in the order of reading. */
  readonly start: number
  readonly end: number
  /** Of these bytes. */
  readonly digest: string
}

export interface CompressedMembers {
  /** Names the dump: no two have the same. */
  readonly timestampNano: bigint
  readonly format: SnapshotFormat
  /** By the digest of the content. */
  readonly members: ReadonlyMap<string, CompressedMember>
}

/** Compressed bytes, nobody else's, or where in the place they are already. */
export type Pieces = ReadonlyArray<Uint8Array<ArrayBuffer>> | Extent

export interface FoundMember {
  /** Of the compressed bytes. */
  readonly digest: string
  readonly pieces: Pieces
}

/** What the dump before has left. */
export interface Earlier {
  /** Writes on in its place; undefined when that is worn: then what is found is copied into a new one. */
  readonly reviser: SpoolReviser | undefined
  /** A member as it was compressed before, if it is there, and still what it was. */
  readonly find: (contentDigest: string) => Effect.Effect<FoundMember | undefined, SpoolError>
}

/** Most stretches of a place: each is looked through to find a byte. */
const mostExtents = 2_000

/** Too much of it is what nobody reads any more: a new place is smaller, and read faster. */
const isWorn = (spooled: Spooled): boolean =>
  writtenBytes(spooled) > 1.25 * spooled.size || spooled.extents.length > mostExtents

/** Buffers of so many bytes are kept for the next member. */
const keptBytes = 2 ** 20

/** Undefined when the caller has not kept the place of the last dump, or that was of another format. */
export const earlier = Effect.fnUntraced(function* (
  last: CompressedMembers | undefined,
  request: DumpRequest,
  { digestNow }: Compression["Service"]
): Effect.fn.Return<Earlier | undefined, never, Spool> {
  const spooled = request.last?.spooled
  if (
    last === undefined ||
    spooled === undefined ||
    request.last?.timestampNano !== last.timestampNano ||
    last.format !== request.format
  )
    return undefined
  const { readInto, revise } = yield* Spool
  const reviser = isWorn(spooled) ? undefined : revise(spooled)
  const free: Array<Uint8Array<ArrayBuffer>> = []
  return {
    reviser,
    find: Effect.fnUntraced(function* (contentDigest) {
      const found = last.members.get(contentDigest)
      if (found === undefined) return undefined
      const { end, start } = found
      const length = end - start
      const isKept = reviser !== undefined && length <= keptBytes
      const buffer = isKept ? (free.pop() ?? new Uint8Array(keptBytes)) : new Uint8Array(length)
      const bytes = buffer.subarray(0, length)
      yield* readInto(spooled, start, bytes)
      // A disk that has changed them would otherwise be sent from for ever.
      const digest = digestNow(bytes)
      if (isKept) free.push(buffer)
      return digest === found.digest ? { digest, pieces: reviser === undefined ? [bytes] : { start, end } } : undefined
    })
  }
})
