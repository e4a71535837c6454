/**
 * Determines what the cleaner would delete once it has seen all objects for `must_keep_interval` and has merged
 * everything that can be merged. It uses the plan of the daemon (`CleanerPlan`), which is given this state.
 */
import { Clock, Effect } from "effect"
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"
import { CleanerPlan, type CleanerRules, type Deletion } from "../sync/CleanerPlan.ts"
import type { Snapshot } from "../sync/ListedSnapshots.ts"

export interface CleanFacts {
  readonly listed: ReadonlyArray<StoredObject>
  /** The snapshots that would be merged, each with the names of its DBIs. */
  readonly merged: ReadonlyArray<{ readonly snapshot: Snapshot; readonly dbis: ReadonlyArray<string> }>
  /** Names of the DBIs of the snapshot that would be sent, or undefined if none would be sent. */
  readonly sentDbis: ReadonlyArray<string> | undefined
}

export const deletions = Effect.fnUntraced(function* (rules: CleanerRules, { listed, merged, sentDbis }: CleanFacts) {
  const plan = new CleanerPlan(rules)
  const { database, mustKeep, ownInstance: instance } = rules
  const wall = yield* Clock.currentTimeNanos
  const sent = SnapshotName.format({ database, instance, timestampNano: wall, format: "gzip" })
  const objects = sentDbis === undefined ? listed : [...listed, { name: sent, size: 0, etag: "" }]
  plan.deletions(objects, { monotonic: 0n, wall })
  for (const { dbis, snapshot } of merged) plan.evidence.markMerged(snapshot, { dbis, made: [] }, 1n)
  if (sentDbis !== undefined) plan.evidence.markStored(SnapshotName.parse(sent)!, sentDbis, 2n)
  const later = mustKeep + 1n
  return plan
    .deletions(objects, { monotonic: later, wall: wall + later })
    .filter(({ name }): boolean => name.text !== sent) satisfies ReadonlyArray<Deletion>
})
