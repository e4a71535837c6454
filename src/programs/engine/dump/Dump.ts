/**
 * Writes a whole environment as one snapshot into the spool, from one read transaction. LMDB never waits for the
 * network, because the object is stored after the dump has ended. The snapshot contains every DBI of the application.
 */
import { Clock, Effect, Exit, Scope } from "effect"
import { Compression } from "../../../services/Compression.ts"
import { type DumpRequest, DumpResult } from "../../../services/Database.ts"
import { Lmdb } from "../../../services/Lmdb.ts"
import { Spool } from "../../../services/Spool.ts"
import { type CompressedMember, earlier as earlierOf } from "./PreviousMembers.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { attempt } from "../Engine.ts"
import { MemberCompressor } from "./MemberCompressor.ts"
import { type DumpedDbi, dumpedDbis, encode, headOf, type WrittenMember } from "./SnapshotEncoding.ts"
import * as ShadowCopy from "../shadow/ShadowCopy.ts"
import * as WriteTransactions from "../WriteTransactions.ts"
import type { EngineDatabase, Exclusively } from "../EngineDatabase.ts"
import { millisSince } from "../../Elapsed.ts"

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
    dbis.map(({ source }) => source.name)
  )
}

/**
 * In shadow mode, copies main to the shadow before a dump. Returns the id of the transaction up to which they are
 * equal, or undefined in native mode, and the time that it took.
 */
export const copyToShadow = Effect.fnUntraced(function* (database: EngineDatabase, exclusively: Exclusively) {
  const { mode, shadow, tracker } = database
  if (mode.shadow === undefined) return { copiedThrough: undefined, copyMillis: 0 }
  const began = yield* Clock.monotonicTimeNanos
  const writing = WriteTransactions.begin(tracker, 0)
  const copiedThrough = yield* exclusively(ShadowCopy.update(mode, shadow, writing))
  database.untoldLockMillis += writing.lockHeldMillis
  return { copiedThrough, copyMillis: yield* millisSince(began) }
})

/** Returns the time of a new dump, or the time of an earlier dump that it takes over. */
export const timeOf = ({ newestKnown, timestampNano }: Pick<DumpRequest, "newestKnown" | "timestampNano">) =>
  Effect.map(Clock.currentTimeNanos, (now) => {
    if (timestampNano !== undefined) return { timestampNano, clockBehind: false }
    const clockBehind = now <= newestKnown
    return { timestampNano: clockBehind ? newestKnown + 1n : now, clockBehind }
  })

/**
 * Begins a read transaction that can be ended before the scope closes. LMDB then reuses the pages sooner that it
 * protects.
 */
export const beginRead = Effect.fnUntraced(function* <A, E, R>(begin: Effect.Effect<A, E, R>) {
  const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  return { begun: yield* Scope.provide(begin, scope), endRead: Scope.close(scope, Exit.void) }
})

/** Returns the view to dump. Deltas can start from the dump unless it takes over the time of another one. */
const viewOf = Effect.fnUntraced(function* (
  { changes }: EngineDatabase,
  { keptNano = [], timestampNano: given }: DumpRequest,
  timestampNano: bigint
) {
  const marked = given === undefined ? yield* changes.mark({ timestampNano, keptNano }) : undefined
  return marked?.view ?? (yield* (yield* Lmdb).read)
})

/** Returns the time for which the lock was held before a dump, and before earlier deltas that were not made. */
export const lockHeldBefore = (database: EngineDatabase): number => {
  const all = database.untoldLockMillis
  database.untoldLockMillis = 0
  return all
}

/** Dumps an environment. `exclusively` runs the copy main → shadow while no merge is in progress. */
export const dump = Effect.fn("Dump.dump")(function* (
  database: EngineDatabase,
  request: DumpRequest,
  exclusively: Exclusively
) {
  const { copiedThrough, copyMillis } = yield* copyToShadow(database, exclusively)
  const began = yield* Clock.monotonicTimeNanos
  const { clockBehind, timestampNano } = yield* timeOf(request)
  const { begun: transaction, endRead } = yield* beginRead(viewOf(database, request, timestampNano))
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
  const { heads, written } = yield* encode(transaction, head, dbis, compressor, endRead)
  const spooled = yield* writer.finish
  remember(database, request, { transactionId: transaction.id, timestampNano, dbis, heads, written })

  return new DumpResult({
    spooled,
    transactionId: copiedThrough ?? transaction.id,
    timestampNano,
    clockBehind,
    entries: dbis.reduce((sum, { entries }) => sum + entries, 0),
    dbis: dbis.map(({ dbi }) => dbi.name),
    tombstones: dbis.map(({ source, tombstones }) => ({ dbi: DbiName.display(source.name), tombstones })),
    uncompressedSize: compressor.bytes,
    reusedSize: compressor.reusedBytes,
    copyMillis,
    lockHeldMillis: lockHeldBefore(database),
    acquireMillis,
    dumpMillis: yield* millisSince(dumpBegan),
    compressMillis: compressor.waitedMillis
  })
}, Effect.scoped)
