/**
 * Removes old tombstones from the DBIs that have headers. Source: docs/sync.md, Sweeper.
 *
 * Tombstones are found in read transactions, a batch at a time, and removed in write transactions, which check each of
 * them again, so that an entry that the application has put in the meantime stays. The lock is held for about
 * `lockMillis` at a time, with a pause after that, and never during the search.
 */
import { Duration, Effect } from "effect"
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import * as EntryBatch from "../../domain/snapshot/EntryBatch.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../domain/lmdb/ShadowName.ts"
import { type SweepRequest, SweepResult } from "../../services/Database.ts"
import { type Cursor, Lmdb, type WriteTransaction } from "../../services/Lmdb.ts"
import { attempt, inSlices, stepsPerLook } from "./Engine.ts"
import { notNative } from "./NotNative.ts"
import { syncedDbis } from "./SyncedDbis.ts"
import * as WriteTransactions from "./WriteTransactions.ts"
import type { EngineDatabase, Exclusively } from "./EngineDatabase.ts"
import { type WriteJob, State } from "./WriteJob.ts"
import { maxKeyBytes } from "../../domain/lmdb/Limits.ts"

/** Number of tombstones that are found before they are removed. */
const batchEntries = 4096

interface Counts {
  total: number
  deleted: number
}

interface Limit {
  readonly high: number
  readonly low: number
}

const isStale = (value: Uint8Array, start: number, limit: Limit): boolean => {
  if (!NativeHeader.isDeleted(value, start)) return false
  const high = NativeHeader.timestampHigh(value, start)
  return high < limit.high || (high === limit.high && NativeHeader.timestampLow(value, start) < limit.low)
}

/**
 * Fills the batch with keys of stale tombstones of one DBI, from `from` on. Returns the last key seen, or undefined at
 * the end of the DBI.
 */
const find = Effect.fnUntraced(function* (
  dbi: DbiName.DbiName,
  from: Uint8Array | undefined,
  limit: Limit,
  batch: EntryBatch.EntryBatch,
  counts: Counts
) {
  const transaction = yield* (yield* Lmdb).read
  batch.count = 0
  if (!transaction.dbis.some(({ name }) => name === dbi)) return undefined
  const cursor: Cursor = yield* Effect.acquireRelease(
    attempt(() => transaction.cursor(dbi, from)),
    (cursor) => Effect.sync(() => cursor.close())
  )
  let last: Uint8Array | undefined
  let end = 0
  yield* inSlices((deadline) => {
    for (;;) {
      for (let step = 0; step < stepsPerLook; step++) {
        if (!cursor.next()) {
          last = undefined
          return true
        }
        const { key, keyEnd, keyStart, value, valueStart } = cursor
        // The previous batch ended here, so this entry is counted already.
        if (from !== undefined && last === undefined && Buffer.compare(from, key.subarray(keyStart, keyEnd)) === 0)
          continue
        last ??= from
        const code = NativeHeader.readHeader(value, valueStart, cursor.valueEnd)
        if (code < 0) throw notNative(dbi, cursor, code)
        counts.total++
        if (!NativeHeader.isDeleted(value, valueStart)) continue
        counts.deleted++
        if (!isStale(value, valueStart, limit)) continue
        const at = batch.count++
        batch.keyStart[at] = end
        for (let p = keyStart; p < keyEnd; p++) batch.bytes[end++] = key[p]!
        batch.keyEnd[at] = end
        if (batch.count === batchEntries) {
          last = key.slice(keyStart, keyEnd)
          return true
        }
      }
      if (performance.now() >= deadline) return false
    }
  })
  return batch.count === batchEntries ? last : undefined
}, Effect.scoped)

/** Removes the entries of a batch that are still stale tombstones. */
class RemoveJob implements WriteJob {
  written = 0
  /** True if nothing else was committed since the copy main → shadow. */
  contiguous = true
  readonly divisible = true
  private readonly dbi: DbiName.DbiName
  private readonly batch: EntryBatch.EntryBatch
  private readonly limit: Limit
  private transaction: WriteTransaction | undefined
  private index = 0

  constructor(dbi: DbiName.DbiName, batch: EntryBatch.EntryBatch, limit: Limit) {
    this.dbi = dbi
    this.batch = batch
    this.limit = limit
  }

  attach(transaction: WriteTransaction, contiguous: boolean): void {
    this.contiguous &&= contiguous
    this.transaction = transaction
    // If the DBI was dropped in the meantime, nothing is left to remove.
    if (!transaction.dbis().some(({ name }) => name === this.dbi)) this.index = this.batch.count
  }

  detach(): void {
    this.transaction = undefined
  }

  advance(deadline: number): number {
    const { batch, dbi } = this
    const transaction = this.transaction!
    while (this.index < batch.count) {
      const end = Math.min(batch.count, this.index + 64)
      for (; this.index < end; this.index++) {
        const keyStart = batch.keyStart[this.index]!
        const keyEnd = batch.keyEnd[this.index]!
        const found = transaction.get(dbi, batch.bytes, keyStart, keyEnd)
        if (found === undefined || !isStale(found.value, found.valueStart, this.limit)) continue
        transaction.remove(dbi, batch.bytes, keyStart, keyEnd)
        this.written++
      }
      // After the last entry, the lock is not taken again.
      if (this.index < batch.count && performance.now() >= deadline) return State.Paused
    }
    return State.End
  }
}

interface Sweeping {
  readonly database: EngineDatabase
  readonly limit: Limit
  readonly writing: WriteTransactions.Writing
  readonly counts: Counts
}

/** Removes tombstones. Main has none of them, so the copy main → shadow stays valid. */
const remove = Effect.fnUntraced(function* (
  { database: { shadow }, limit, writing }: Sweeping,
  dbi: DbiName.DbiName,
  batch: EntryBatch.EntryBatch
) {
  const job = new RemoveJob(dbi, batch, limit)
  const last = yield* WriteTransactions.writeToEnd(writing, job, shadow.copiedThrough ?? 0n)
  if (shadow.copiedThrough !== undefined && job.contiguous) shadow.copiedThrough = last
})

const sweepDbi = Effect.fnUntraced(function* (sweeping: Sweeping, dbi: DbiName.DbiName, exclusively: Exclusively) {
  const { counts, limit, writing } = sweeping
  const batch = EntryBatch.make(batchEntries)
  batch.bytes = new Uint8Array(batchEntries * maxKeyBytes)
  let from: Uint8Array | undefined
  do {
    from = yield* find(dbi, from, limit, batch, counts)
    if (batch.count === 0) continue
    yield* exclusively(remove(sweeping, dbi, batch))
    yield* Effect.sleep(Duration.millis(writing.releaseMillis))
  } while (from !== undefined)
})

/** Sweeps an environment. `exclusively` runs each removal while no merge is in progress. */
export const sweep = Effect.fn("Sweep.sweep")(function* (
  database: EngineDatabase,
  request: SweepRequest,
  exclusively: Exclusively
) {
  const writing = WriteTransactions.begin(database.tracker, request.lockMillis, request.releaseMillis)
  const limit: Limit = { high: Number(request.olderThanNano >> 32n), low: Number(request.olderThanNano & 0xffffffffn) }
  const counts: Counts = { total: 0, deleted: 0 }
  const { mode } = database
  const dbis = yield* Effect.scoped(
    Effect.flatMap(
      Effect.flatMap(Lmdb, ({ read }) => read),
      (transaction) =>
        attempt(() => {
          const names = syncedDbis(transaction.dbis, mode.check).map((dbi) => dbi.name)
          return mode.shadow === undefined ? names : transaction.dbis.map((dbi) => dbi.name).filter(ShadowName.isShadow)
        })
    )
  )
  for (const dbi of dbis) yield* sweepDbi({ database, limit, writing, counts }, dbi, exclusively)
  return new SweepResult({
    totalEntries: counts.total,
    deletedEntries: counts.deleted,
    cleanedEntries: writing.written,
    transactions: writing.transactions,
    longestLockMillis: writing.longestLockMillis
  })
})
