/**
 * Stores a dump, and retries until the store succeeds or the application has changed something in the meantime. Gives
 * up after `storage_retry_count` failures in a row.
 *
 * Only an object whose store has succeeded counts as stored: a delta never starts from a store of unknown outcome.
 */
import { Clock, Data, Duration, Effect, Random } from "effect"
import type * as SnapshotName from "../../../domain/snapshot/SnapshotName.ts"
import type { DumpResult } from "../../../services/Database.ts"
import { Settings } from "../../../services/Settings.ts"
import { Spool } from "../../../services/Spool.ts"
import { Storage, type StorageError } from "../../../services/Storage.ts"
import * as SendMeter from "../facts/SendMeter.ts"
import { observe } from "../LocalChanges.ts"
import type * as Outage from "../Outage.ts"
import type { SyncState } from "../SyncState.ts"
import { DeltaChain } from "./DeltaChain.ts"
import type { DumpToStore } from "./SnapshotDump.ts"

/** Too many stores in a row have failed. The daemon ends, so that an operator notices. */
export class StoreGivenUp extends Data.TaggedError("StoreGivenUp")<{
  readonly attempts: number
  readonly error: StorageError
}> {
  override get message(): string {
    return `storing a snapshot failed ${this.attempts} times in a row (storage_retry_count): ${this.error.message}`
  }
}

export interface Storing {
  readonly state: SyncState
  readonly store: Outage.Outage
  /** Number of failed stores in a row. */
  attempts: number
  /** Monotonic time in milliseconds of the last store, or of the start. */
  lastStore: number
}

export const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

const longestPause = 60_000

/**
 * Returns the pause after a failed store: `storage_retry_interval`, doubled each time up to a minute, less a random
 * part of up to a quarter, so that the instances of a fleet do not all come back at once.
 */
const pauseAfter = Effect.fnUntraced(function* (attempts: number) {
  const { storage_retry_interval } = yield* Settings
  const doubled = Duration.toMillis(storage_retry_interval) * 2 ** Math.min(attempts - 1, 20)
  const jitter = yield* Random.next
  return Duration.millis(Math.min(doubled, longestPause) * (1 - jitter / 4))
})

const logStored = (name: SnapshotName.SnapshotName, result: DumpResult, storeMillis: number) =>
  Effect.logInfo("Stored snapshot", {
    snapshot_name: name.text,
    snapshot_kind: name.kind,
    snapshot_size: result.spooled.size,
    uncompressed_size: result.uncompressedSize,
    reused_size: result.reusedSize,
    compression_ratio: Math.round((100 * result.uncompressedSize) / result.spooled.size) / 100,
    entries: result.entries,
    txnID: String(result.transactionId),
    time_total: Duration.millis(result.copyMillis + result.acquireMillis + result.dumpMillis + storeMillis),
    time_acquire: Duration.millis(result.acquireMillis),
    time_copy_shadow: Duration.millis(result.copyMillis),
    time_write_lock: Duration.millis(result.lockHeldMillis),
    time_dump: Duration.millis(result.dumpMillis),
    time_compress: Duration.millis(result.compressMillis),
    time_store: Duration.millis(storeMillis)
  })

/** Returns the chain after this object. */
const chainAfter = ({ chain }: SyncState, { name, result }: DumpToStore, storedMillis: number) => {
  const { entries, spooled, timestampNano } = result
  if (name.kind === "delta") return chain?.followedBy({ timestampNano, size: spooled.size })
  return DeltaChain.after({ timestampNano, size: spooled.size, entries, storedMillis })
}

/** Records that a dump is stored: state, metrics and log. */
const stored = Effect.fnUntraced(function* (storing: Storing, dumped: DumpToStore, storeMillis: number) {
  const { state } = storing
  const { began, foreignSnapshots, isOfDelta, name, result } = dumped
  storing.attempts = 0
  storing.lastStore = yield* monotonicMillis
  state.chain = chainAfter(state, dumped, storing.lastStore)
  // Changes after the delta whose time it has taken over are in no delta yet.
  if (!isOfDelta) {
    if (result.transactionId > state.sentThrough) state.sentThrough = result.transactionId
    state.foreignSent = foreignSnapshots
  }
  state.firstStoreDone = true
  state.cleaner?.evidence.markStored(name, result.dbis, began)
  yield* storing.store.over
  yield* SendMeter.stored(state, name, result)
  yield* logStored(name, result, storeMillis)
  yield* state.notify
})

/** Attempts to store a dump once. Returns false if that failed. */
const storeOnce = Effect.fnUntraced(function* (storing: Storing, dumped: DumpToStore) {
  const { state } = storing
  const { name, result } = dumped
  const storage = yield* Storage
  const spool = yield* Spool
  const { storage_retry_count, storage_retry_forever } = yield* Settings
  const began = yield* Clock.monotonicTimeNanos
  state.index.markWritten(name.text, result.timestampNano)
  yield* SendMeter.storing(state)
  const { spooled } = result
  return yield* storage
    .store(name.text, { size: spooled.size, read: (start, end) => spool.read(spooled, { start, end }) })
    .pipe(
      Effect.andThen(Clock.monotonicTimeNanos),
      Effect.flatMap((ended) => Effect.as(stored(storing, dumped, Number(ended - began) / 1e6), true)),
      Effect.catchTag("StorageError", (error) =>
        Effect.gen(function* () {
          storing.attempts++
          const isPermanent = storing.attempts >= storage_retry_count && !storage_retry_forever
          yield* SendMeter.storeFailed(state, isPermanent)
          if (isPermanent) {
            return yield* new StoreGivenUp({ attempts: storing.attempts, error })
          }
          yield* storing.store.failed(error.message, error.reason._tag === "Refused" ? "error" : "warning")
          return false
        })
      )
    )
})

/**
 * Attempts to store a dump until an attempt succeeds. Returns false if the application has changed something in the
 * meantime, so that a new dump is better.
 */
export const store = Effect.fnUntraced(function* (storing: Storing, dumped: DumpToStore) {
  for (;;) {
    if (yield* storeOnce(storing, dumped)) return true
    yield* Effect.sleep(yield* pauseAfter(storing.attempts))
    yield* observe(storing.state)
    if (storing.state.lastForeign > dumped.result.transactionId) {
      yield* SendMeter.superseded(storing.state)
      return false
    }
  }
})
