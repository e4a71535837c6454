/**
 * Writes a whole environment as one snapshot into the spool, from one read transaction, in one pass. Protobuf wants the
 * size of a DBI before its entries: so the entries are encoded straight into the compressor, and the DBI's head, a
 * member of its own, is put before them in the spool when their size is known. Nothing holds the uncompressed snapshot,
 * and LMDB never waits for the network: the object is stored after this has ended.
 *
 * Every DBI of the application is in it, values without their header: read from the DBI itself in native mode, from its
 * shadow in shadow mode. A value without a header, or a DBI that the mode cannot represent, is an error that names it.
 */
import type { Bytes } from "../../../domain/bytes/Bytes.ts"
import { Clock, Effect } from "effect"
import type { DbiName } from "../../../domain/lmdb/DbiName.ts"
import * as DupsortKey from "../../../domain/lmdb/DupsortKey.ts"
import { isBoundary } from "../../../domain/snapshot/MemberBoundary.ts"
import * as NativeHeader from "../../../domain/lmdb/NativeHeader.ts"
import { dbiHead, EntryEncoder, snapshotHead } from "../../../domain/snapshot/SnapshotWriter.ts"
import { Compression } from "../../../services/Compression.ts"
import { type DumpRequest, DumpResult } from "../../../services/Database.ts"
import { type Cursor, type Dbi, Lmdb, type ReadTransaction } from "../../../services/Lmdb.ts"
import { Spool } from "../../../services/Spool.ts"
import { type CompressedMember, earlier as earlierOf } from "./PreviousMembers.ts"
import { attempt, inSlices, stepsPerLook } from "../Engine.ts"
import { type KnownMember, mostMembers, sectionOf } from "../merge/KnownMembers.ts"
import { type FinishedMember, MemberCompressor, type Place } from "./MemberCompressor.ts"
import type { Mode } from "../merge/Mode.ts"
import { notNative } from "../NotNative.ts"
import * as ShadowCopy from "../shadow/ShadowCopy.ts"
import { checkShadowFlags, otherKeys, syncedDbis } from "../SyncedDbis.ts"
import * as WriteTransactions from "../WriteTransactions.ts"
import type { EngineDatabase, Exclusively } from "../EngineDatabase.ts"
import { millisSince } from "../../Elapsed.ts"

/** A DBI to dump: what the snapshot says of it, and the DBI that has its entries. */
interface DumpedDbi {
  readonly dbi: Dbi
  readonly transform: string
  readonly source: DbiName
  entries: number
  /** Encoded. */
  bytes: number
}

/** In shadow mode a DBI that the application has made since the copy has no shadow yet: it is for the next snapshot. */
const dumpedDbis = (mode: Mode, { dbis }: ReadTransaction): ReadonlyArray<DumpedDbi> =>
  syncedDbis(dbis, mode.check).flatMap((dbi) => {
    const source = mode.headersOf(dbi.name)
    const entries = dbis.find(({ name }) => name === source)
    if (entries === undefined) return []
    // Made again since the copy, it may be of another kind than what the shadow has.
    if (source !== dbi.name) checkShadowFlags(dbi, entries)
    return [{ dbi, transform: mode.transformOf(dbi), source, entries: 0, bytes: 0 }]
  })

const openCursor = (transaction: ReadTransaction, { source }: DumpedDbi) =>
  Effect.acquireRelease(
    attempt(() => transaction.cursor(source)),
    (cursor) => Effect.sync(() => cursor.close())
  )

const Slice = { paused: 0, boundary: 1, end: 2 } as const

/** Encodes entries until a member or the DBI ends, or the time is up. */
const encodeSlice = (dumped: DumpedDbi, cursor: Cursor, encoder: EntryEncoder, deadline: number): number => {
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
    if (value < 0) throw notNative(dumped.source, cursor, value)
    if (arePairs && !DupsortKey.isLayout(cursor.key, cursor.keyStart, cursor.keyEnd)) throw otherKeys(dumped.dbi)
    const bytes = encoder.add(
      cursor.key,
      cursor.keyStart,
      cursor.keyEnd,
      cursor.value,
      value,
      cursor.valueEnd,
      NativeHeader.timestampHigh(cursor.value, start),
      NativeHeader.timestampLow(cursor.value, start),
      NativeHeader.flags(cursor.value, start) & 1
    )
    dumped.entries++
    dumped.bytes += bytes
    if (isBoundary(cursor.key, cursor.keyStart, cursor.keyEnd, bytes)) return Slice.boundary
  }
}

/** A member of entries. */
interface WrittenMember extends FinishedMember {
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
  return place
})

const formatVersion = 3

interface Dumped {
  readonly transactionId: bigint
  readonly timestampNano: bigint
  readonly dbis: ReadonlyArray<DumpedDbi>
  /** Number of compressed bytes of the head of each DBI. */
  readonly heads: ReadonlyArray<number>
  readonly written: ReadonlyArray<WrittenMember>
}

/** Remembers the members of this dump, for the next dump and for merges. */
const remember = (
  database: EngineDatabase,
  { format }: DumpRequest,
  { dbis, heads, timestampNano, transactionId, written }: Dumped
) => {
  const members = new Map<string, CompressedMember>()
  let headsBefore = 0
  let dbisBefore = 0
  for (const { contentDigest, dbi, digest, length, start } of written) {
    while (dbisBefore <= dbi) headsBefore += heads[dbisBefore++]!
    members.set(contentDigest, { start: headsBefore + start, end: headsBefore + start + length, digest })
  }
  database.last = { timestampNano, format, members }
  database.known.dumped(
    transactionId,
    written.map(({ known }) => known)
  )
  database.walked.walked(
    transactionId,
    dbis.map(({ source }) => source)
  )
}

/**
 * Copies main to the shadow, in shadow mode. Returns the id of the transaction up to which they are equal, or undefined
 * in native mode.
 */
const copyToShadow = Effect.fnUntraced(function* (
  { mode, shadow }: EngineDatabase,
  writing: WriteTransactions.Writing
) {
  if (mode.shadow === undefined) return undefined
  return yield* ShadowCopy.update(mode, shadow, writing)
})

const headOf = (
  database: EngineDatabase,
  { hostname, instanceID }: DumpRequest,
  { id }: ReadTransaction,
  timestampNano: bigint
) =>
  snapshotHead(
    { formatVersion, compatVersion: 1 },
    {
      generationID: "GX",
      instanceID,
      hostname,
      databaseName: database.options.name,
      lmdbTxnID: id,
      fromLmdbTxnID: 0n,
      timestampNano
    }
  )

/** Encodes the whole snapshot. `heads`: the number of compressed bytes of the head of each DBI. */
const encode = Effect.fnUntraced(function* (
  transaction: ReadTransaction,
  head: Bytes,
  dbis: ReadonlyArray<DumpedDbi>,
  compressor: MemberCompressor
) {
  yield* compressor.submit(head, head.length)
  const encoder = new EntryEncoder(compressor.buffer())
  const places: Array<Place> = []
  const written: Array<WrittenMember> = []
  for (const [index, dumped] of dbis.entries()) {
    places.push(yield* Effect.scoped(writeDbi(transaction, dumped, encoder, compressor, index, written)))
  }
  yield* compressor.drain
  const heads: Array<number> = []
  for (const [index, { bytes, dbi, transform }] of dbis.entries()) {
    heads.push(yield* compressor.fill(places[index]!, dbiHead(dbi.name, dbi.flags, transform, bytes)))
  }
  return { heads, written }
})

/** Dumps an environment. `exclusively`: runs the copy main → shadow while no merge is under way. */
export const dump = Effect.fn("Dump.dump")(function* (
  database: EngineDatabase,
  request: DumpRequest,
  exclusively: Exclusively
) {
  const copyBegan = yield* Clock.monotonicTimeNanos
  const writing = WriteTransactions.begin(database.tracker, 0)
  const copiedThrough = yield* exclusively(copyToShadow(database, writing))
  const copyMillis = copiedThrough === undefined ? 0 : yield* millisSince(copyBegan)

  const began = yield* Clock.monotonicTimeNanos
  const now = yield* Clock.currentTimeNanos
  const clockBehind = now <= request.newestKnown
  const timestampNano = clockBehind ? request.newestKnown + 1n : now
  const lmdb = yield* Lmdb
  const transaction = yield* lmdb.read
  const acquireMillis = yield* millisSince(began)
  const dumpBegan = yield* Clock.monotonicTimeNanos

  const spool = yield* Spool
  const compression = yield* Compression
  const earlier = yield* earlierOf(database.last, request, compression)
  const writer = earlier?.reviser ?? spool.writer(request.place)
  const compressor = new MemberCompressor({
    codec: compression[request.format],
    digests: compression,
    writer,
    scope: yield* Effect.scope,
    earlier
  })
  const dbis = yield* attempt(() => dumpedDbis(database.mode, transaction))
  const head = headOf(database, request, transaction, timestampNano)
  const { heads, written } = yield* encode(transaction, head, dbis, compressor)
  const spooled = yield* writer.finish
  remember(database, request, { transactionId: transaction.id, timestampNano, dbis, heads, written })

  return new DumpResult({
    spooled,
    transactionId: copiedThrough ?? transaction.id,
    timestampNano,
    clockBehind,
    entries: dbis.reduce((sum, { entries }) => sum + entries, 0),
    dbis: dbis.map(({ dbi }) => dbi.name),
    uncompressedSize: compressor.bytes,
    reusedSize: compressor.reusedBytes,
    copyMillis,
    lockHeldMillis: writing.lockHeldMillis,
    acquireMillis,
    dumpMillis: yield* millisSince(dumpBegan),
    compressMillis: compressor.waitedMillis
  })
}, Effect.scoped)
