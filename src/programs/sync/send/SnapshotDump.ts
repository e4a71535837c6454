/** Dumps a full snapshot or a delta into the spool, and determines its name. */
import { Clock, Effect } from "effect"
import * as SnapshotName from "../../../domain/snapshot/SnapshotName.ts"
import type { DumpResult } from "../../../services/Database.ts"
import { Settings } from "../../../services/Settings.ts"
import { Spool } from "../../../services/Spool.ts"
import * as SendMeter from "../facts/SendMeter.ts"
import type { Dumped } from "../LastDump.ts"
import type { SyncState } from "../SyncState.ts"
import type { DeltaChain } from "./DeltaChain.ts"
import * as WhatToSend from "./WhatToSend.ts"

/** A dump in the spool, ready to be stored. */
export interface DumpToStore {
  readonly name: SnapshotName.SnapshotName
  readonly result: DumpResult
  /** Start of the dump on the monotonic clock, in nanoseconds. */
  readonly began: bigint
  /** Value of `foreignMerged` at that time. */
  readonly foreignSnapshots: number
  /**
   * True for a full snapshot that takes over the time of a delta. That delta has already sent everything that counts as
   * sent.
   */
  readonly isOfDelta: boolean
}

/** Returns the fields that the requests of all dumps have in common, with a new place in the spool. */
const requestOf = Effect.fnUntraced(function* (state: SyncState) {
  const { snapshot_compression } = yield* Settings
  yield* SendMeter.entering(state, "dumping")
  return {
    place: yield* (yield* Spool).open,
    format: snapshot_compression,
    instanceID: state.options.instance,
    hostname: state.options.hostname,
    newestKnown: state.index.newestOwn
  }
})

const named = Effect.fnUntraced(function* ({ options }: SyncState, { fromNano, timestampNano }: DumpResult) {
  const { delta_snapshots, snapshot_compression } = yield* Settings
  const text = SnapshotName.format({
    database: options.database,
    instance: options.instance,
    timestampNano,
    format: snapshot_compression,
    fromNano,
    readsDeltas: delta_snapshots !== "never"
  })
  return SnapshotName.parse(text)!
})

const ended = Effect.fnUntraced(function* (state: SyncState, result: DumpResult) {
  yield* SendMeter.dumped(state, result)
  if (result.clockBehind) {
    yield* Effect.logWarning(
      "The clock is behind our own newest snapshot: the new one is named 1 ns after that. Check the clock of this machine"
    )
  }
  return yield* named(state, result)
})

/**
 * Dumps the whole environment. `last` is the previous dump, if it was kept. `timestampNano` is the time of the delta
 * that the dump takes over.
 */
export const dumpFull = Effect.fnUntraced(function* (
  state: SyncState,
  last: Dumped | undefined,
  timestampNano: bigint | undefined
) {
  const request = yield* requestOf(state)
  const began = yield* Clock.monotonicTimeNanos
  const foreignSnapshots = state.foreignMerged
  const result = yield* state.database.dump({
    ...request,
    keptNano: state.chain?.keptNano ?? [],
    ...(last !== undefined && { last }),
    ...(timestampNano !== undefined && { timestampNano })
  })
  const name = yield* ended(state, result)
  return { name, result, began, foreignSnapshots, isOfDelta: timestampNano !== undefined } satisfies DumpToStore
})

/** Dumps the next delta. Returns undefined if a full snapshot is better, or the only possibility. */
export const dumpDelta = Effect.fnUntraced(function* (state: SyncState, chain: DeltaChain) {
  const request = yield* requestOf(state)
  const began = yield* Clock.monotonicTimeNanos
  const foreignSnapshots = state.foreignMerged
  const { fromNano, keptNano } = chain
  const limits = WhatToSend.limitsOfDelta(chain)
  const result = yield* state.database.dumpDelta({ ...request, fromNano, keptNano, ...limits })
  if (result === undefined) return undefined
  const name = yield* ended(state, result)
  return { name, result, began, foreignSnapshots, isOfDelta: false } satisfies DumpToStore
})
