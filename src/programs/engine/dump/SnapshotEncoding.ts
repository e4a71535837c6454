/**
 * Encodes a snapshot, full or delta, from one read transaction into the spool, in one pass. Protobuf requires the size
 * of a DBI before its entries. Therefore, the entries are encoded directly into the compressor, and the head of the
 * DBI, a separate member, is inserted before them in the spool when their size is known. The uncompressed snapshot is
 * never in memory as a whole.
 *
 * Values are encoded without their header. They are read from the DBI itself in native mode, and from its shadow in
 * shadow mode. A value without a header, or a DBI that the mode cannot represent, is an error that names it.
 */
import type { Bytes } from "../../../domain/bytes/Bytes.ts"
import { Effect } from "effect"
import * as DupsortKey from "../../../domain/lmdb/DupsortKey.ts"
import { orderOf } from "../../../domain/lmdb/KeyOrder.ts"
import type { KeySet } from "../../../domain/lmdb/KeySet.ts"
import { isBoundary } from "../../../domain/snapshot/MemberBoundary.ts"
import * as NativeHeader from "../../../domain/lmdb/NativeHeader.ts"
import { dbiHead, EntryEncoder, snapshotHead } from "../../../domain/snapshot/SnapshotWriter.ts"
import type { DumpRequest } from "../../../services/Database.ts"
import type { Dbi, ForwardCursor, ReadTransaction } from "../../../services/Lmdb.ts"
import { KeysCursor } from "../changes/KeysCursor.ts"
import { isThere, type PendingKeys } from "../changes/PendingKeys.ts"
import { attempt, inSlices, stepsPerLook } from "../Engine.ts"
import type { EngineDatabase } from "../EngineDatabase.ts"
import { type KnownMember, mostMembers, sectionOf } from "../merge/KnownMembers.ts"
import { type FinishedMember, MemberCompressor, type Place } from "./MemberCompressor.ts"
import type { Mode } from "../merge/Mode.ts"
import { notNative } from "../NotNative.ts"
import { checkShadowFlags, otherKeys, syncedDbis } from "../SyncedDbis.ts"

const formatVersion = 3

/** A DBI to dump: its description in the snapshot, and the DBI that contains its entries. */
export interface DumpedDbi {
  readonly dbi: Dbi
  readonly transform: string
  readonly source: Dbi
  /** The keys to dump, or undefined for all of them. */
  readonly keys: KeySet | undefined
  /** True if a key that must exist was not found, because the DBI is in another order than its flags imply. */
  isInDoubt: boolean
  entries: number
  tombstones: number
  /** Number of encoded bytes. */
  bytes: number
}

/**
 * Returns the application's DBIs of a view. In shadow mode, a DBI that the application has created since the copy has
 * no shadow yet and is left to the next snapshot. If `changed` is given, only these keys are dumped.
 */
export const dumpedDbis = (mode: Mode, { dbis }: ReadTransaction, changed?: PendingKeys): ReadonlyArray<DumpedDbi> =>
  syncedDbis(dbis, mode.check).flatMap((dbi) => {
    const headers = mode.headersOf(dbi.name)
    const source = dbis.find(({ name }) => name === headers)
    if (source === undefined) return []
    // If it was recreated since the copy, it may be of another kind than its shadow.
    if (source !== dbi) checkShadowFlags(dbi, source)
    const keys = changed?.of(headers)
    if (keys?.count === 0) return []
    return [
      { dbi, transform: mode.transformOf(dbi), source, keys, isInDoubt: false, entries: 0, tombstones: 0, bytes: 0 }
    ]
  })

const openCursor = (transaction: ReadTransaction, { keys, source }: DumpedDbi) =>
  Effect.acquireRelease(
    attempt(() => {
      const cursor = transaction.cursor(source.name)
      return keys === undefined ? cursor : new KeysCursor(cursor, keys, orderOf(source.flags), isThere)
    }),
    (cursor) => Effect.sync(() => cursor.close())
  )

const Slice = { paused: 0, boundary: 1, end: 2 } as const

/** Encodes entries until a member or the DBI ends, or the deadline has passed. */
const encodeSlice = (dumped: DumpedDbi, cursor: ForwardCursor, encoder: EntryEncoder, deadline: number): number => {
  const arePairs = dumped.transform !== ""
  // This is one loop and not two nested ones: V8 leaves a compiled inner loop for the interpreter each time it ends.
  for (let steps = stepsPerLook; ; steps--) {
    if (steps === 0) {
      if (performance.now() >= deadline) return Slice.paused
      steps = stepsPerLook
    }
    if (!cursor.next()) return Slice.end
    const start = cursor.valueStart
    const value = NativeHeader.readHeader(cursor.value, start, cursor.valueEnd)
    if (value < 0) throw notNative(dumped.source.name, cursor, value)
    if (arePairs && !DupsortKey.isLayout(cursor.key, cursor.keyStart, cursor.keyEnd)) throw otherKeys(dumped.dbi)
    const deleted = NativeHeader.flags(cursor.value, start) & 1
    const bytes = encoder.add(
      cursor.key,
      cursor.keyStart,
      cursor.keyEnd,
      cursor.value,
      value,
      cursor.valueEnd,
      NativeHeader.timestampHigh(cursor.value, start),
      NativeHeader.timestampLow(cursor.value, start),
      deleted
    )
    dumped.entries++
    dumped.tombstones += deleted
    dumped.bytes += bytes
    if (isBoundary(cursor.key, cursor.keyStart, cursor.keyEnd, bytes)) return Slice.boundary
  }
}

/** A member with entries, and its position. */
export interface WrittenMember extends FinishedMember {
  readonly known: KnownMember
  /** Index of the member's DBI. */
  readonly dbi: number
}

/** Encodes the entries of one DBI, after a place for its head, which contains their size. */
const writeDbi = Effect.fnUntraced(function* (
  transaction: ReadTransaction,
  dumped: DumpedDbi,
  encoder: EntryEncoder,
  compressor: MemberCompressor,
  index: number,
  written: Array<WrittenMember>
) {
  const section = sectionOf(formatVersion, {
    name: dumped.dbi.name,
    flags: BigInt(dumped.dbi.flags),
    transform: dumped.transform
  })
  let before = 0
  const submit = () => {
    const { entries } = dumped
    const about = {
      section,
      bytes: encoder.length,
      entries: entries - before,
      firstKey: encoder.firstKey(),
      lastKey: encoder.lastKey()
    }
    before = entries
    return compressor.submitEntries(encoder.bytes, encoder.length, (member) => {
      if (written.length < mostMembers)
        written.push({ ...member, known: { ...about, digest: member.digest }, dbi: index })
    })
  }
  const place = compressor.place()
  const cursor = yield* openCursor(transaction, dumped)
  let state: number = Slice.paused
  while (state !== Slice.end) {
    yield* inSlices((deadline) => {
      state = encodeSlice(dumped, cursor, encoder, deadline)
      return state !== Slice.paused
    })
    if (encoder.length > 0) {
      yield* submit()
      encoder.reset(compressor.buffer())
    }
  }
  dumped.isInDoubt = cursor instanceof KeysCursor && cursor.doubt
  return place
})

/** Returns the head of the snapshot. `from` is the last transaction of the dump that a delta starts from. */
export const headOf = (
  database: EngineDatabase,
  { hostname, instanceID }: Pick<DumpRequest, "hostname" | "instanceID">,
  { id }: ReadTransaction,
  timestampNano: bigint,
  from = 0n
) =>
  snapshotHead(
    { formatVersion, compatVersion: 1 },
    {
      generationID: "GX",
      instanceID,
      hostname,
      databaseName: database.options.name,
      lmdbTxnID: id,
      fromLmdbTxnID: from,
      timestampNano
    }
  )

/**
 * Encodes a whole snapshot. Runs `endRead` once everything has been read, before it waits for the last compressions.
 * Returns the written members, and the number of compressed bytes of the head of each DBI.
 */
export const encode = Effect.fnUntraced(function* (
  transaction: ReadTransaction,
  head: Bytes,
  dbis: ReadonlyArray<DumpedDbi>,
  compressor: MemberCompressor,
  endRead: Effect.Effect<void>
) {
  yield* compressor.submit(head, head.length)
  const encoder = new EntryEncoder(compressor.buffer())
  const places: Array<Place> = []
  const written: Array<WrittenMember> = []
  for (const [index, dumped] of dbis.entries()) {
    places.push(yield* Effect.scoped(writeDbi(transaction, dumped, encoder, compressor, index, written)))
  }
  yield* endRead
  yield* compressor.drain
  const heads: Array<number> = []
  for (const [index, { bytes, dbi, transform }] of dbis.entries()) {
    heads.push(yield* compressor.fill(places[index]!, dbiHead(dbi.name, dbi.flags, transform, bytes)))
  }
  return { heads, written }
})
