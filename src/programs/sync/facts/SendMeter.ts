/** Records the work of the sender as facts for the status page, and as metrics. */
import { Clock, Effect } from "effect"
import { families } from "../../../domain/metrics/MetricFamilies.ts"
import type { SnapshotName } from "../../../domain/snapshot/SnapshotName.ts"
import type { DumpResult } from "../../../services/Database.ts"
import * as Metrics from "../../../services/Metrics.ts"
import type { SendStage } from "./SyncFacts.ts"
import type { SyncState } from "../SyncState.ts"

const lmdbOf = ({ options }: SyncState) => ({ lmdb: options.database })

const sendEnded = (state: SyncState, result: "stored" | "unchanged" | "superseded" | "failed" | "aborted") =>
  Metrics.add(families.sends, { ...lmdbOf(state), result }, 1)

export const entering = (state: SyncState, name: SendStage["name"]) =>
  Effect.map(Clock.currentTimeMillis, (since) => void (state.facts.sending = { name, since }))

/** Records a send while it runs. */
export const sending =
  (state: SyncState) =>
  <A, E, R>(send: Effect.Effect<A, E, R>) =>
    send.pipe(
      Effect.onInterrupt(() => sendEnded(state, "aborted")),
      Effect.ensuring(Effect.sync(() => void (state.facts.sending = undefined)))
    )

/** Records the state after a poll of the LMDB or after a store. */
export const observed = Effect.fnUntraced(function* (state: SyncState) {
  const { facts, hasUnsent, lastForeign } = state
  const now = yield* Clock.currentTimeMillis
  if (facts.lastForeign !== undefined && lastForeign > facts.lastForeign) facts.changedAt = now
  facts.lastForeign = lastForeign
  facts.unsentSince = hasUnsent ? (facts.unsentSince ?? now) : undefined
})

export const dumped = Effect.fnUntraced(function* (state: SyncState, result: DumpResult) {
  const labels = lmdbOf(state)
  if (result.tombstones !== undefined) {
    const ofDbi = new Map(result.tombstones.map(({ dbi, tombstones }) => [dbi, tombstones]))
    state.facts.tombstones = { at: yield* Clock.currentTimeMillis, ofDbi }
  }
  yield* Metrics.add(families.generated, labels, 1)
  yield* Metrics.set(families.generatedLast, labels, Number(result.timestampNano) / 1e9)
  yield* Metrics.set(families.generatedLastSize, labels, result.spooled.size)
  yield* Metrics.add(families.entries, { ...labels, operation: "dump", result: "scanned" }, result.entries)
  yield* Metrics.add(families.clockBehind, labels, result.clockBehind ? 1 : 0)
  if (result.copyMillis === 0) return
  yield* Metrics.observe(families.writeLock, { ...labels, operation: "copy" }, result.lockHeldMillis / 1e3)
})

/** Records that a snapshot could not be made. A new attempt follows. */
export const dumpFailed = (state: SyncState) =>
  Effect.andThen(sendEnded(state, "failed"), entering(state, "waiting to dump again"))

export const superseded = (state: SyncState) => sendEnded(state, "superseded")

/** Records that nothing is sent, since no entry has changed. */
export const unchanged = (state: SyncState) => Effect.andThen(sendEnded(state, "unchanged"), observed(state))

export const storing = (state: SyncState) =>
  Effect.andThen(Metrics.add(families.storeCalls, {}, 1), entering(state, "storing"))

export const stored = Effect.fnUntraced(function* (state: SyncState, name: SnapshotName, result: DumpResult) {
  const { size } = result.spooled
  const { kind, text } = name
  const sent = { name: text, kind, at: yield* Clock.currentTimeMillis, size, entries: result.entries }
  state.facts.sent = sent
  if (kind === "snapshot") state.facts.sentFull = sent
  yield* Metrics.add(families.storeBytes, {}, size)
  yield* Metrics.add(families.storedObjects, { ...lmdbOf(state), kind }, 1)
  yield* sendEnded(state, "stored")
  yield* observed(state)
})

export const storeFailed = Effect.fnUntraced(function* (state: SyncState, isPermanent: boolean) {
  yield* Metrics.add(families.storeFailedAttempts, lmdbOf(state), 1)
  if (isPermanent) yield* Metrics.add(families.storeFailedPermanently, lmdbOf(state), 1)
  yield* entering(state, "waiting to store again")
})
