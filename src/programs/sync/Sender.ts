/**
 * Sends a snapshot when the application has changed something, and once per `storage_force_snapshot_interval` without a
 * change, so that other instances see that this one is alive. Source: docs/sync.md, Sending and Starting.
 *
 * Nothing is sent before the first listing, nor before our own old snapshot is merged: a fresh, empty LMDB could
 * replace the only copy of old data. The dump ends before the store begins. A store that fails is tried again with the
 * newest state, until `storage_retry_count` attempts in a row failed.
 */
import { Clock, Data, Duration, Effect, Random } from "effect"
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import { DatabaseError, type DumpResult } from "../../services/Database.ts"
import { Settings } from "../../services/Settings.ts"
import { Spool } from "../../services/Spool.ts"
import { Storage, type StorageError } from "../../services/Storage.ts"
import type { Dumped } from "./LastDump.ts"
import { observe } from "./LocalChanges.ts"
import * as Outage from "./Outage.ts"
import * as SendMeter from "./facts/SendMeter.ts"
import * as Staleness from "./Staleness.ts"
import type { SyncState } from "./SyncState.ts"

/** Stores have failed too often. The daemon ends, so that an operator notices. */
export class StoreGivenUp extends Data.TaggedError("StoreGivenUp")<{
  readonly attempts: number
  readonly error: StorageError
}> {
  override get message(): string {
    return `storing a snapshot failed ${this.attempts} times in a row (storage_retry_count): ${this.error.message}`
  }
}

interface Sender {
  readonly state: SyncState
  readonly store: Outage.Outage
  readonly dump: Outage.Outage
  /** Failed stores in a row. */
  attempts: number
  /** Monotonic time in milliseconds of the last store, or of the start. */
  lastStore: number
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

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

/** Dumps the whole environment into a place of the scope. `last`: the previous dump, if it was kept. */
const dump = Effect.fnUntraced(function* (sender: Sender, last: Dumped | undefined) {
  const { database, index, options } = sender.state
  const { snapshot_compression } = yield* Settings
  yield* SendMeter.entering(sender.state, "dumping")
  const place = yield* (yield* Spool).open
  const began = yield* Clock.monotonicTimeNanos
  const foreignSnapshots = sender.state.foreignMerged
  const result = yield* database.dump({
    place,
    format: snapshot_compression,
    instanceID: options.instance,
    hostname: options.hostname,
    newestKnown: index.newestOwn,
    ...(last !== undefined && { last })
  })
  yield* SendMeter.dumped(sender.state, result)
  if (result.clockBehind) {
    yield* Effect.logWarning(
      "The clock is behind our own newest snapshot: the new one is named 1 ns after that. Check the clock of this machine"
    )
  }
  const name = SnapshotName.parse(
    SnapshotName.format({
      database: options.database,
      instance: options.instance,
      timestampNano: result.timestampNano,
      format: snapshot_compression
    })
  )!
  return { name, result, began, foreignSnapshots }
})

/** Tries to store a dump once. Returns false if that failed. */
const store = Effect.fnUntraced(function* (
  sender: Sender,
  { began: dumpBegan, name, result, foreignSnapshots }: Effect.Success<ReturnType<typeof dump>>
) {
  const { state } = sender
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
      Effect.andThen(
        Effect.gen(function* () {
          sender.attempts = 0
          sender.lastStore = yield* monotonicMillis
          if (result.transactionId > state.sentThrough) state.sentThrough = result.transactionId
          state.foreignSent = foreignSnapshots
          state.firstStoreDone = true
          state.cleaner?.markStored(name, result.dbis, dumpBegan)
          yield* sender.store.over
          yield* SendMeter.stored(state, name, result)
          yield* logStored(name, result, Number((yield* Clock.monotonicTimeNanos) - began) / 1e6)
          yield* state.notify
          return true
        })
      ),
      Effect.catchTag("StorageError", (error) =>
        Effect.gen(function* () {
          sender.attempts++
          const isPermanent = sender.attempts >= storage_retry_count && !storage_retry_forever
          yield* SendMeter.storeFailed(state, isPermanent)
          if (isPermanent) {
            return yield* new StoreGivenUp({ attempts: sender.attempts, error })
          }
          yield* sender.store.failed(error.message, error.reason._tag === "Refused" ? "error" : "warning")
          return false
        })
      )
    )
})

/**
 * Tries to store a dump until it works. Returns false if the application has changed something meanwhile: then a new
 * dump is better.
 */
const storeDumped = Effect.fnUntraced(function* (sender: Sender, dumped: Effect.Success<ReturnType<typeof dump>>) {
  yield* sender.dump.over
  for (;;) {
    if (yield* store(sender, dumped)) return true
    yield* Effect.sleep(yield* pauseAfter(sender.attempts))
    yield* observe(sender.state)
    if (sender.state.lastForeign > dumped.result.transactionId) {
      yield* SendMeter.superseded(sender.state)
      return false
    }
  }
})

/** With a full map in shadow mode changes have no room in the shadow, so there is nothing to send yet. */
const isWaitedOut = ({ reaction }: DatabaseError) => reaction === "retry" || reaction === "wait: map full"

/** Sends the newest state, however long it takes. */
const send = Effect.fn("Send.send")(function* (sender: Sender) {
  const { storage_retry_interval } = yield* Settings
  for (;;) {
    const sent = yield* sender.state.kept
      .dump(
        (last) => dump(sender, last),
        (dumped) => storeDumped(sender, dumped)
      )
      .pipe(
        Effect.catchIf(
          (error) => error._tag === "SpoolError" || (error instanceof DatabaseError && isWaitedOut(error)),
          (error) =>
            Effect.as(
              Effect.andThen(
                Effect.andThen(SendMeter.dumpFailed(sender.state), sender.dump.failed(error.message, "error")),
                Effect.sleep(storage_retry_interval)
              ),
              false
            )
        ),
        SendMeter.sending(sender.state)
      )
    if (sent) return
  }
})

/** Starts sending: an LMDB with data is sent at once, an empty one when the application has changed it. */
const start = Effect.fnUntraced(function* (sender: Sender) {
  const { state } = sender
  const changes = yield* observe(state)
  if (changes.last === 0n) yield* Effect.logWarning("The LMDB is new: nothing is sent before it has data")
  if (changes.emptyAtOpen) {
    state.firstStoreDone = true
    yield* state.notify
  } else yield* send(sender)
})

const isForced = Effect.fnUntraced(function* (sender: Sender) {
  const { storage_force_snapshot_interval } = yield* Settings
  const interval = Duration.toMillis(storage_force_snapshot_interval)
  return interval > 0 && sender.state.lastTransactionId > 0n && (yield* monotonicMillis) - sender.lastStore >= interval
})

const make = Effect.fnUntraced(function* (state: SyncState) {
  const { database } = state.options
  return {
    state,
    store: yield* Outage.make(`${database}_storage_store`, "store a snapshot"),
    dump: yield* Outage.make(`${database}_dump`, "make a snapshot"),
    attempts: 0,
    lastStore: yield* monotonicMillis
  } satisfies Sender
})

/**
 * Time between a hint that the data file was written and a look at it: a small commit is done by then, and a busy
 * application is not polled too often.
 */
const settling = "20 millis"

/** Waits until the next snapshot may be sent: `lmdb_poll_interval` is the minimum time between two. */
const untilNextIsDue = Effect.fnUntraced(function* ({ lastStore }: Sender) {
  const { lmdb_poll_interval } = yield* Settings
  const since = (yield* monotonicMillis) - lastStore
  yield* Effect.sleep(Duration.millis(Math.max(0, Duration.toMillis(lmdb_poll_interval) - since)))
})

/** Runs forever. In receive-only mode it polls the LMDB for the other loops, and sends nothing. */
export const run = Effect.fn("Send.run")(function* (state: SyncState) {
  const sender = yield* make(state)
  const { lmdb_poll_interval } = yield* Settings
  const notified = state.wakeups()
  while (!state.index.ownIsMerged) {
    yield* observe(state)
    yield* Effect.raceFirst(notified, Effect.sleep(lmdb_poll_interval))
  }
  yield* Staleness.check(state)
  if (state.stale) {
    state.firstStoreDone = true
    yield* state.notify
  } else if (!state.options.receiveOnly) yield* start(sender)
  for (;;) {
    yield* Effect.raceFirst(
      Effect.sleep(lmdb_poll_interval),
      Effect.andThen(state.database.touched, Effect.sleep(settling))
    )
    yield* observe(state)
    if (state.options.receiveOnly || state.stale) continue
    if (state.hasUnsent || (yield* isForced(sender))) {
      yield* untilNextIsDue(sender)
      yield* send(sender)
    }
  }
})

/** Looks at the LMDB when no commit is under way in it: one that cannot be read yet would be missed. */
const observeCommitted = Effect.fnUntraced(function* (state: SyncState) {
  for (;;) {
    const { last, stored } = yield* observe(state)
    if (stored <= last) return
    yield* Effect.sleep(settling)
  }
})

/** Of an application that goes on while this process ends: what it commits during one send is left to the next. */
const lastSendsMax = 3

/** The last sends of an orderly end: false when something is left unsent. */
export const finish = Effect.fn("Send.finish")(function* (state: SyncState) {
  if (state.options.receiveOnly) return true
  for (let sends = 0; ; sends++) {
    yield* observeCommitted(state)
    if (!state.hasUnsent) return true
    if (!state.index.ownIsMerged || state.stale || sends === lastSendsMax) return false
    yield* send(yield* make(state))
  }
})
