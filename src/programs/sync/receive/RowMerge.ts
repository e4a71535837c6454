/**
 * Merges loaded objects of one instance in order. Small objects that follow one another are a row, which is merged in
 * one write transaction: the application then waits for one commit, and not for one per object. Each object is recorded
 * in index, metrics, log and cleaner by itself.
 *
 * If an object in the middle of a row is corrupt or refused, those before it are merged, and it is the first of the
 * next row. If a row cannot be merged for any other reason, its objects are merged one by one, so that the error is
 * that of the object that causes it. Nothing is recorded before its transaction is committed, so what an interruption
 * prevents is merged later.
 */
import { Array as Arr, Clock, Duration, Effect } from "effect"
import type { DatabaseError, MergeResult } from "../../../services/Database.ts"
import { MemoryBudget } from "../../../services/MemoryBudget.ts"
import type { Spooled } from "../../../services/Spool.ts"
import { millisSince } from "../../Elapsed.ts"
import * as ReceiveMeter from "../facts/ReceiveMeter.ts"
import type { Snapshot } from "../ListedSnapshots.ts"
import { observe } from "../LocalChanges.ts"
import * as TombstoneRetention from "../TombstoneRetention.ts"
import { smallBytesMax } from "./Downloader.ts"
import type { ReceiverState } from "./ReceiverState.ts"

/**
 * Maximum size in bytes of a row, compressed. It is that of one small object, so it bounds the time for which the
 * transaction of a row holds LMDB's write lock: it is not longer than that of one small object. The number of objects
 * in a row is bounded by the number of those that are loaded together.
 */
const rowBytesMax = smallBytesMax

/** An object in the spool. */
export interface LoadedObject {
  readonly snapshot: Snapshot
  readonly spooled: Spooled
}

type Row = Arr.NonEmptyReadonlyArray<LoadedObject>

export interface FailedMerge {
  readonly snapshot: Snapshot
  readonly error: DatabaseError
  /** Id of the application's last transaction before the merge began. */
  readonly lastForeign: bigint
}

/** Returns the first of these objects, and as many of the following ones as fit into a row with it. */
const rowOf = ([first, ...following]: Row): Row => {
  let bytes = first.spooled.size
  const end = following.findIndex(({ spooled }) => (bytes += spooled.size) > rowBytesMax)
  return [first, ...following.slice(0, end < 0 ? following.length : end)]
}

const ageOf = (snapshot: Snapshot) =>
  Effect.map(Clock.currentTimeNanos, (now) =>
    Duration.nanos(now > snapshot.name.timestampNano ? now - snapshot.name.timestampNano : 0n)
  )

const logMerged = Effect.fnUntraced(function* (
  { snapshot, spooled }: LoadedObject,
  result: MergeResult,
  millis: number
) {
  yield* Effect.logInfo("Loaded remote update", {
    snapshot_instance: snapshot.name.instance,
    timestamp: snapshot.name.timestampText,
    age: yield* ageOf(snapshot),
    kind: snapshot.name.kind,
    compressed_size_bytes: spooled.size,
    entries_read: result.entriesRead,
    entries_skipped: result.entriesSkipped,
    entries_written: result.entriesWritten,
    txnID: String(result.transactionId),
    time_total: Duration.millis(millis),
    time_write_lock: Duration.millis(result.lockHeldMillis)
  })
})

/** Records a merged object. `began` is the monotonic time at which the merge of its row began. */
const record = Effect.fnUntraced(function* (
  receiver: ReceiverState,
  loaded: LoadedObject,
  result: MergeResult,
  began: bigint
) {
  const { state } = receiver
  const { snapshot } = loaded
  const isForeign = state.index.isForeign(snapshot)
  const isOnPath = state.index.markMerged(snapshot)
  yield* ReceiveMeter.merged(state, snapshot, result)
  const inPart = receiver.foreignInPart.delete(snapshot.name.text)
  // Our own newer snapshot hides it from the others, so only this process can send them its entries.
  if (isForeign && (inPart || result.entriesWritten > 0)) state.foreignMerged++
  state.cleaner?.evidence.markMerged(snapshot, result, yield* Clock.monotonicTimeNanos, isOnPath)
  receiver.suspects.delete(snapshot.name.text)
  receiver.waitingForRoom.delete(snapshot.name.instance)
  receiver.merge.instances.delete(snapshot.name.instance)
  yield* logMerged(loaded, result, yield* millisSince(began))
})

/** Merges a row, and returns the number of its objects that were merged. */
const mergeRow = Effect.fnUntraced(function* (receiver: ReceiverState, row: Row) {
  const { state } = receiver
  const hold = yield* (yield* MemoryBudget).hold(state.options.database, "decompress")
  for (const { spooled } of row) hold(spooled.size)
  const began = yield* Clock.monotonicTimeNanos
  const cutOffNano = yield* TombstoneRetention.cutOff
  const snapshots = Arr.map(row, ({ snapshot, spooled }) => ({ spooled, format: snapshot.name.format }))
  const results = yield* state.database.merge({ snapshots, ...(cutOffNano === undefined ? {} : { cutOffNano }) }).pipe(
    ReceiveMeter.merging(
      state,
      Arr.map(row, ({ snapshot }) => snapshot)
    ),
    Effect.tapError(() =>
      Effect.sync(() => {
        for (const { snapshot } of row)
          if (state.index.isForeign(snapshot)) receiver.foreignInPart.add(snapshot.name.text)
      })
    )
  )
  for (const [index, result] of results.entries()) yield* record(receiver, row[index]!, result, began)
  return results.length
})

/**
 * Merges those objects of a row that should still be merged, with a permit. A better object may have appeared while the
 * permit was waited for. Returns the number of objects that need no more attention: at least one.
 */
const mergeCurrent = (receiver: ReceiverState, row: Row) =>
  Effect.gen(function* () {
    const current = receiver.state.index.leading(row.map(({ snapshot }) => snapshot)).length
    const [first, ...following] = row
    return current === 0 ? 1 : yield* mergeRow(receiver, [first, ...following.slice(0, current - 1)])
  })

/** Merges loaded objects in the order of a path. Returns the first failure, if any. */
export const mergeLoaded = Effect.fnUntraced(function* (receiver: ReceiverState, loaded: ReadonlyArray<LoadedObject>) {
  const { state } = receiver
  const { withPermit } = yield* MemoryBudget
  let inRows = true
  for (let left = loaded; Arr.isReadonlyArrayNonEmpty(left);) {
    const row: Row = inRows ? rowOf(left) : [left[0]]
    const { lastForeign } = yield* observe(state)
    const merged = yield* withPermit(
      state.options.database,
      "decompress"
    )(mergeCurrent(receiver, row)).pipe(Effect.catchTag("DatabaseError", (error) => Effect.succeed(error)))
    if (typeof merged === "number") left = left.slice(merged)
    else if (row.length === 1) return { snapshot: row[0].snapshot, error: merged, lastForeign } satisfies FailedMerge
    else inRows = false
  }
  return undefined
})
