/**
 * Writes a delta snapshot into the spool: the entries that have changed since an earlier dump, read by their keys from
 * one read transaction. Its cost depends on the changes, not on the size of the environment.
 *
 * A key that was removed without a tombstone is left out, as it would be missing in a full snapshot. A DBI that was
 * created since then is included even if it is empty.
 */
import { Clock, Effect } from "effect"
import { Compression } from "../../../services/Compression.ts"
import { type DeltaRequest, DumpResult } from "../../../services/Database.ts"
import { Spool } from "../../../services/Spool.ts"
import { millisSince } from "../../Elapsed.ts"
import { attempt } from "../Engine.ts"
import type { EngineDatabase, Exclusively } from "../EngineDatabase.ts"
import { beginRead, copyToShadow, lockHeldBefore, timeOf } from "./Dump.ts"
import { MemberCompressor } from "./MemberCompressor.ts"
import { type DumpedDbi, dumpedDbis, encode, headOf } from "./SnapshotEncoding.ts"

/** Returns the maximum number of entries of a dump of these DBIs. */
const entriesOf = (dbis: ReadonlyArray<DumpedDbi>): number =>
  dbis.reduce((sum, { keys, source }) => sum + (keys?.count ?? source.entries), 0)

/** Dumps a delta. Returns undefined if a full snapshot is needed. `exclusively` is as for a full one. */
export const dumpDelta = Effect.fn("DeltaDump.dump")(function* (
  database: EngineDatabase,
  request: DeltaRequest,
  exclusively: Exclusively
) {
  const { copiedThrough, copyMillis } = yield* copyToShadow(database, exclusively)
  const began = yield* Clock.monotonicTimeNanos
  const { clockBehind, timestampNano } = yield* timeOf(request)
  const { fromNano, keptNano } = request
  const { begun: marked, endRead } = yield* beginRead(database.changes.mark({ timestampNano, keptNano, fromNano }))
  if (marked?.changes === undefined) return undefined
  const { changes, view } = marked
  const acquireMillis = yield* millisSince(began)
  const dumpBegan = yield* Clock.monotonicTimeNanos
  const dbis = yield* attempt(() => dumpedDbis(database.mode, view, changes.keys))
  if (entriesOf(dbis) > request.entriesMax) return undefined

  const compression = yield* Compression
  const writer = (yield* Spool).writer(request.place)
  const compressor = new MemberCompressor({
    codec: compression[request.format],
    digests: compression,
    writer,
    scope: yield* Effect.scope,
    earlier: undefined
  })
  const { timestampNano: from, transactionId } = changes.bookmark
  const head = headOf(database, request, view, timestampNano, transactionId)
  yield* encode(view, head, dbis, compressor, endRead)
  // A full snapshot walks such a DBI, and fails at the keys that are not in order.
  if (dbis.some(({ isInDoubt }) => isInDoubt)) return undefined
  const spooled = yield* writer.finish
  if (spooled.size > request.sizeMax) return undefined

  return new DumpResult({
    spooled,
    transactionId: copiedThrough ?? view.id,
    timestampNano,
    fromNano: from,
    clockBehind,
    entries: dbis.reduce((sum, { entries }) => sum + entries, 0),
    dbis: dbis.filter(({ entries, keys }) => entries > 0 || keys === undefined).map(({ dbi }) => dbi.name),
    uncompressedSize: compressor.bytes,
    reusedSize: 0,
    copyMillis,
    lockHeldMillis: lockHeldBefore(database),
    acquireMillis,
    dumpMillis: yield* millisSince(dumpBegan),
    compressMillis: compressor.waitedMillis
  })
}, Effect.scoped)
