/**
 * Merges new objects of each instance, along the path to its newest state (`SnapshotIndex`). Each instance has its own
 * child fiber. Memory budgets limit how many snapshots are in memory, and how many are merged at once. If a newer full
 * snapshot appears while a child waits for a permit, that snapshot is merged instead. Consecutive small deltas are
 * loaded in parallel and merged in one transaction (`RowMerge`).
 *
 * No object in the bucket can end the daemon. If our own newest snapshot is refused at the start, nothing is sent as
 * long as it is in the bucket, because a newer one would hide it, and it may be the only copy of its data.
 */
import { Clock, Effect, FiberSet } from "effect"
import { MemoryBudget } from "../../../services/MemoryBudget.ts"
import { Settings } from "../../../services/Settings.ts"
import { download, loadedTogether } from "./Downloader.ts"
import type { Snapshot } from "../ListedSnapshots.ts"
import * as Outage from "../Outage.ts"
import * as Quarantine from "./Quarantine.ts"
import * as ReceiveMeter from "../facts/ReceiveMeter.ts"
import * as Staleness from "../Staleness.ts"
import type { SyncState } from "../SyncState.ts"
import type { FailingInstances, ReceiverState } from "./ReceiverState.ts"
import { type FailedMerge, mergeLoaded } from "./RowMerge.ts"

/** Nanoseconds between two attempts to merge into a full map that the application has not changed. */
const patience = 60_000_000_000n

const failedFor = Effect.fnUntraced(function* (
  { instances, outage }: FailingInstances,
  instance: string,
  message: string,
  level?: "error"
) {
  const { storage_retry_interval } = yield* Settings
  instances.add(instance)
  yield* outage.failed(message, level)
  yield* Effect.sleep(storage_retry_interval)
})

/** Ends the outages without failing instances. */
const recover = Effect.fnUntraced(function* ({ full, load, merge, state, waitingForRoom }: ReceiverState) {
  for (const instances of [load.instances, merge.instances, waitingForRoom]) {
    for (const instance of instances.keys()) if (state.index.next(instance) === undefined) instances.delete(instance)
  }
  for (const { instances, outage } of [load, merge]) if (instances.size === 0) yield* outage.over
  if (waitingForRoom.size === 0) yield* full.over
})

/** Reacts to a failed merge. Fails if the daemon must end. */
const afterFailure = Effect.fnUntraced(function* (
  receiver: ReceiverState,
  { error, lastForeign, snapshot }: FailedMerge
) {
  switch (error.reaction) {
    case "quarantine: corrupt":
      yield* ReceiveMeter.loadFailed(receiver.state, snapshot.name.instance)
      if (receiver.suspects.delete(snapshot.name.text))
        return yield* Quarantine.quarantine(receiver.state, snapshot, error.message, "corrupt")
      receiver.suspects.add(snapshot.name.text)
      return yield* Effect.logDebug("A snapshot is corrupt, loading it once more", {
        snapshot_name: snapshot.name.text,
        error: error.message
      })
    case "quarantine: refused":
      return yield* Quarantine.quarantine(receiver.state, snapshot, error.message, "refused")
    case "wait: map full":
      receiver.waitingForRoom.set(snapshot.name.instance, {
        lastForeign,
        until: (yield* Clock.monotonicTimeNanos) + patience
      })
      return yield* receiver.full.failed(error.message, "error")
    case "retry":
    case "wait: missing":
      return yield* failedFor(receiver.merge, snapshot.name.instance, error.message, "error")
    case "end":
      return yield* error
  }
})

const warnOfForeign = Effect.fnUntraced(function* ({ state, foreignSnapshots }: ReceiverState, snapshot: Snapshot) {
  if (!state.index.isForeign(snapshot) || foreignSnapshots.has(snapshot.name.text)) return
  foreignSnapshots.add(snapshot.name.text)
  yield* Effect.logWarning("Foreign snapshot under our instance name: is the name used twice?", {
    snapshot_name: snapshot.name.text
  })
})

/**
 * Loads and merges one object, or several small ones, with a download permit. Returns the failure of a merge instead of
 * handling it, so that permits and spool are released before the caller waits.
 */
const receive = Effect.fnUntraced(function* (receiver: ReceiverState, instance: string) {
  const { state } = receiver
  // Newer objects may have appeared while this fiber waited for the permit.
  const steps = state.index.steps(instance)
  const last = steps.at(-1)
  if (last === undefined) return undefined
  // The time of the last object is the time of the state that all of them lead to.
  const stale = yield* Staleness.problemOf(state, last)
  if (stale !== undefined) return yield* Quarantine.quarantine(state, last, stale, "stale")
  const together = steps.slice(0, loadedTogether(steps))
  for (const snapshot of together) yield* warnOfForeign(receiver, snapshot)
  const loaded = yield* Effect.forEach(
    together,
    (snapshot) =>
      ReceiveMeter.downloading(state, instance).pipe(
        Effect.andThen(download(state.options.database, snapshot)),
        Effect.tap((spooled) => ReceiveMeter.downloaded(state, instance, spooled.size)),
        Effect.map((spooled) => ({ snapshot, spooled }))
      ),
    { concurrency: "unbounded" }
  )
  receiver.load.instances.delete(instance)
  return yield* mergeLoaded(receiver, loaded)
})

/**
 * Handles an object that a cleaner has deleted between listing and load: the next listing has a newer one, or none of
 * the instance. For our own snapshot at the start, that listing is waited for. Some stores list an object before it can
 * be loaded, and a newer snapshot of ours would hide its data.
 */
const notFound = Effect.fnUntraced(function* (state: SyncState, instance: string, name: string) {
  if (instance === state.options.instance && !state.index.ownIsMerged)
    return yield* Effect.sleep((yield* Settings).storage_poll_interval)
  const snapshot = state.index.steps(instance).find(({ object }) => object.name === name)
  if (snapshot !== undefined) state.index.vanished(snapshot)
})

/** Receives the next objects of an instance, from the bucket to the database. Waits while the bucket is unavailable. */
const receiveOne = Effect.fn("Receive.one")(function* (receiver: ReceiverState, instance: string) {
  const { state } = receiver
  const budget = yield* MemoryBudget
  const failure = yield* budget
    .withPermit(
      state.options.database,
      "download"
    )(receive(receiver, instance))
    .pipe(
      Effect.catchTags({
        StorageError: (error) =>
          error.reason._tag === "ObjectNotFound"
            ? notFound(state, instance, error.name)
            : Effect.andThen(
                ReceiveMeter.loadFailed(state, instance),
                failedFor(receiver.load, instance, error.message)
              ),
        SpoolError: (error) => Effect.andThen(state.lastDump.giveUp, failedFor(receiver.load, instance, error.message))
      })
    )
  if (failure !== undefined) yield* afterFailure(receiver, failure)
  yield* recover(receiver)
})

/** True if the instance has a snapshot to merge and does not wait for space in the map. */
const isDue = (receiver: ReceiverState, instance: string, now: bigint): boolean => {
  const { busy, state, waitingForRoom } = receiver
  if (busy.has(instance) || state.index.next(instance) === undefined) return false
  const full = waitingForRoom.get(instance)
  return full === undefined || state.lastForeign > full.lastForeign || now >= full.until
}

/** Runs forever. */
export const run = Effect.fn("Receive.run")(function* (state: SyncState) {
  const { database } = state.options
  const receiver: ReceiverState = {
    state,
    load: { outage: yield* Outage.make(`${database}_storage_load`, "load a snapshot"), instances: new Set() },
    merge: { outage: yield* Outage.make(`${database}_merge`, "merge a snapshot"), instances: new Set() },
    full: yield* Outage.make(`${database}_map_full`, "merge a snapshot"),
    busy: new Set(),
    suspects: new Set(),
    waitingForRoom: new Map(),
    foreignSnapshots: new Set(),
    foreignInPart: new Set()
  }
  const children = yield* FiberSet.make<void, Effect.Error<ReturnType<typeof receiveOne>>>()
  const notified = state.wakeups()
  const loop = Effect.gen(function* () {
    for (;;) {
      yield* notified
      for (const name of yield* Quarantine.review(state)) receiver.foreignSnapshots.add(name)
      yield* recover(receiver)
      const now = yield* Clock.monotonicTimeNanos
      for (const instance of state.index.instances) {
        if (!isDue(receiver, instance, now)) continue
        receiver.busy.add(instance)
        yield* FiberSet.run(
          children,
          Effect.ensuring(
            receiveOne(receiver, instance).pipe(ReceiveMeter.receiving(state, instance)),
            Effect.andThen(
              Effect.sync(() => receiver.busy.delete(instance)),
              state.notify
            )
          )
        )
      }
    }
  })
  // A failing child ends the loop, and with it the daemon.
  return yield* Effect.raceFirst(loop, Effect.andThen(FiberSet.join(children), Effect.never))
}, Effect.scoped)
