/**
 * Finds members of the last dump in its spool by the digest of their content. A member that has not changed is neither
 * compressed nor written again. Since equal entries give equal members, this applies to most of them.
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
  /** Offsets in the spool, in the order of reading. */
  readonly start: number
  readonly end: number
  /** Digest of these bytes. */
  readonly digest: string
}

export interface CompressedMembers {
  /** Time of the dump, which identifies it. */
  readonly timestampNano: bigint
  readonly format: SnapshotFormat
  /** Members by the digest of their content. */
  readonly members: ReadonlyMap<string, CompressedMember>
}

/** Compressed bytes, which the caller owns, or their offsets in the place. */
export type Pieces = ReadonlyArray<Uint8Array<ArrayBuffer>> | Extent

export interface FoundMember {
  /** Digest of the compressed bytes. */
  readonly digest: string
  readonly pieces: Pieces
}

/** Members of the previous dump. */
export interface Earlier {
  /**
   * Writes into the place of the last dump. Undefined if that place is worn; members are then copied to a new place.
   */
  readonly reviser: SpoolReviser | undefined
  /** Finds a compressed member by the digest of its content, and checks that its bytes are intact. */
  readonly find: (contentDigest: string) => Effect.Effect<FoundMember | undefined, SpoolError>
}

/** Maximum number of extents of a place, which are searched one by one. */
const mostExtents = 2_000

/** True if so many bytes or extents of a place are unused that a new place is better, which is smaller and faster. */
const isWorn = (spooled: Spooled): boolean =>
  writtenBytes(spooled) > 1.25 * spooled.size || spooled.extents.length > mostExtents

/** Maximum size in bytes of a buffer that is kept for the next member. */
const keptBytes = 2 ** 20

/** Returns undefined if the place of the last dump was not kept, or has another format. */
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
      // Otherwise, bytes that the disk has damaged would be sent in every later snapshot.
      const digest = digestNow(bytes)
      if (isKept) free.push(buffer)
      return digest === found.digest ? { digest, pieces: reviser === undefined ? [bytes] : { start, end } } : undefined
    })
  }
})
