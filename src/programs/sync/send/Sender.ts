/**
 * Sends the application's changes as full snapshots and deltas (`WhatToSend`). Once per
 * `storage_force_snapshot_interval`, it also sends without a change, so that other instances see that this one is
 * alive. Source: docs/sync.md, Sending and Starting.
 *
 * Nothing is sent before the first listing, nor before our own old snapshot is merged, because a new, empty LMDB could
 * replace the only copy of old data. The dump ends before the store begins. A failed store is retried with the newest
 * state, until `storage_retry_count` attempts in a row have failed.
 */
import { Clock, Duration, Effect } from "effect"
import { DatabaseError, type DumpResult } from "../../../services/Database.ts"
import { Settings } from "../../../services/Settings.ts"
import { observe } from "../LocalChanges.ts"
import * as Outage from "../Outage.ts"
import * as SendMeter from "../facts/SendMeter.ts"
import * as Staleness from "../Staleness.ts"
import type { SyncState } from "../SyncState.ts"
import type { DeltaChain } from "./DeltaChain.ts"
import { dumpDelta, dumpFull } from "./SnapshotDump.ts"
import { following } from "./PinFollower.ts"
import { monotonicMillis, store, type Storing } from "./SnapshotStore.ts"
import * as WhatToSend from "./WhatToSend.ts"

interface Sender extends Storing {
  readonly dump: Outage.Outage
  /** True if a snapshot must be sent even without a change. */
  isForced: boolean
  /** True if a full snapshot must follow. */
  isFullForced: boolean
}

/** Sends a full snapshot, which takes over the time `timestampNano` of a delta, if it is given. */
const sendFull = (sender: Sender, timestampNano?: bigint) =>
  sender.state.lastDump.dump(
    (last) => dumpFull(sender.state, last, timestampNano),
    (dumped) => Effect.andThen(sender.dump.over, store(sender, dumped))
  )

/**
 * Records the newest state as sent, because no entry has changed: the application has written values that were already
 * there, or has written to DBIs that are not synced.
 */
const nothingToSend = Effect.fnUntraced(function* (state: SyncState, { transactionId }: DumpResult) {
  if (transactionId > state.sentThrough) state.sentThrough = transactionId
  yield* SendMeter.unchanged(state)
  yield* Effect.logDebug("No entry has changed, nothing is sent", { txnID: String(transactionId) })
  return true
})

/** Sends the next delta of the chain. Returns undefined if a full snapshot is needed instead. */
const sendDelta = Effect.fnUntraced(function* (sender: Sender, chain: DeltaChain) {
  const dumped = yield* dumpDelta(sender.state, chain)
  if (dumped === undefined) return undefined
  yield* sender.dump.over
  if (dumped.result.dbis.length === 0 && !sender.isForced) return yield* nothingToSend(sender.state, dumped.result)
  return yield* store(sender, dumped)
}, Effect.scoped)

/** Returns the chain that a delta can continue, or undefined if only a full snapshot can be sent. */
const chainOf = Effect.fnUntraced(function* ({ chain, foreignMerged, foreignSent, index }: SyncState) {
  const { delta_snapshots } = yield* Settings
  // Our deltas do not contain what another process has sent under our name.
  if (delta_snapshots === "never" || foreignMerged > foreignSent) return undefined
  // The deltas since a full snapshot that was removed from the bucket cannot be reached.
  if (chain !== undefined && index.isFullRemoved(chain.full.timestampNano)) return undefined
  return chain
})

/** True if the bucket shows instances that need full snapshots, because they read no deltas. */
const areFullsAwaited = Effect.fnUntraced(function* ({ index }: SyncState) {
  const { delta_snapshots } = yield* Settings
  return delta_snapshots === "auto" && index.hasOriginals(yield* Clock.currentTimeNanos)
})

const isFullDue = Effect.fnUntraced(function* ({ isFullForced, state }: Sender) {
  const { full_snapshot_interval } = yield* Settings
  const chain = yield* chainOf(state)
  if (chain === undefined) return false
  const circumstances = {
    nowMillis: yield* monotonicMillis,
    intervalMillis: Duration.toMillis(full_snapshot_interval),
    areFullsAwaited: yield* areFullsAwaited(state)
  }
  return (isFullForced && chain.count > 0) || WhatToSend.isFullDue(chain, circumstances)
})

/** Sends a delta, a full snapshot, or both. Returns false if there is more to send. */
const round = Effect.fnUntraced(function* (sender: Sender) {
  const { state } = sender
  const chain = yield* chainOf(state)
  const sent =
    chain === undefined ? undefined : state.hasUnsent || sender.isForced ? yield* sendDelta(sender, chain) : true
  if (sent === false) return false
  if (sent === undefined && !(yield* sendFull(sender))) return false
  sender.isForced = false
  if ((yield* isFullDue(sender)) && !(yield* sendFull(sender, state.chain?.lastNano))) return false
  sender.isFullForced = false
  return true
})

/**
 * True if the send is retried later. With a full map in shadow mode, changes can be neither copied to the shadow nor
 * sent.
 */
const isWaitedOut = ({ reaction }: DatabaseError) => reaction === "retry" || reaction === "wait: map full"

/** Sends the newest state, and retries until that works. */
const send = Effect.fn("Send.send")(function* (sender: Sender) {
  const { storage_retry_interval } = yield* Settings
  for (;;) {
    const sent = yield* round(sender).pipe(
      Effect.catchIf(
        (error) => error._tag === "SpoolError" || (error instanceof DatabaseError && isWaitedOut(error)),
        (error) =>
          SendMeter.dumpFailed(sender.state).pipe(
            Effect.andThen(sender.dump.failed(error.message, "error")),
            Effect.andThen(Effect.sleep(storage_retry_interval)),
            Effect.andThen(observe(sender.state)),
            Effect.as(false)
          )
      ),
      SendMeter.sending(sender.state)
    )
    if (sent) return
  }
})

/** Starts sending: an LMDB with data is sent at once, and an empty one once the application has changed it. */
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
  const sender: Sender = {
    state,
    store: yield* Outage.make(`${database}_storage_store`, "store a snapshot"),
    dump: yield* Outage.make(`${database}_dump`, "make a snapshot"),
    attempts: 0,
    lastStore: yield* monotonicMillis,
    isForced: false,
    isFullForced: false
  }
  return sender
})

/**
 * Time between a hint that the data file was written and the check of its last transaction. A small commit is done by
 * then, and a busy application is not polled too often.
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
    const { tracking } = yield* observe(state)
    if (yield* Staleness.lookAgain(state)) yield* send(sender)
    if (state.options.receiveOnly || state.stale) continue
    sender.isForced = sender.isFullForced = yield* isForced(sender)
    if (state.hasUnsent || sender.isForced || (yield* isFullDue(sender))) {
      const sending = Effect.andThen(untilNextIsDue(sender), send(sender))
      yield* tracking === undefined ? sending : following(state)(sending)
    }
  }
})

/**
 * Reads the last transaction while no commit is in progress, because a commit that cannot be read yet would be missed.
 */
const observeCommitted = Effect.fnUntraced(function* (state: SyncState) {
  for (;;) {
    const { last, stored } = yield* observe(state)
    if (stored <= last) return
    yield* Effect.sleep(settling)
  }
})

/** Maximum number of sends at the end. Commits of the application during one of them are sent by the next one. */
const lastSendsMax = 3

/** Runs the last sends of an orderly end. Returns false if something is left unsent. */
export const finish = Effect.fn("Send.finish")(function* (state: SyncState) {
  if (state.options.receiveOnly) return true
  for (let sends = 0; ; sends++) {
    yield* observeCommitted(state)
    // A send may have been interrupted between a delta and the full snapshot that others wait for.
    const isFullMissing = state.chain !== undefined && state.chain.count > 0 && (yield* areFullsAwaited(state))
    if (!state.hasUnsent && !isFullMissing) return true
    if (!state.index.ownIsMerged || state.stale || sends === lastSendsMax) return false
    yield* send(yield* make(state))
  }
})
