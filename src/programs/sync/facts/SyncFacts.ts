/**
 * Facts about a database for metrics and the status page. They are plain state on the main thread, which `SendMeter`
 * and `ReceiveMeter` change. Times are in milliseconds since the UNIX epoch.
 */
import type { ObjectKind } from "../../../domain/snapshot/SnapshotName.ts"
import type { Snapshot } from "../ListedSnapshots.ts"

export interface Stage<Name extends string> {
  readonly name: Name
  readonly since: number
}

export type SendStage = Stage<"dumping" | "storing" | "waiting to store again" | "waiting to dump again">

export type ReceiveStage = Stage<
  "waiting for a download" | "downloading" | "waiting for a merge" | "merging" | "waiting to try again"
>

/** A snapshot or delta of ours that was stored. */
export interface Sent {
  readonly name: string
  readonly kind: ObjectKind
  readonly at: number
  /** Compressed size in bytes. */
  readonly size: number
  readonly entries: number
}

/** Number of tombstones by the displayed name of the DBI, as of the last dump of all entries. */
export interface Tombstones {
  readonly at: number
  readonly ofDbi: ReadonlyMap<string, number>
}

export interface Merged {
  readonly snapshot: Snapshot
  readonly at: number
  readonly entriesWritten: number
  readonly lockHeldMillis: number
}

export interface Quarantined {
  readonly problem: string
  readonly at: number
}

/** Facts about an instance that has snapshots in the bucket. */
export interface InstanceFacts {
  /** The current step of receiving from it, or undefined if it is idle. */
  stage: ReceiveStage | undefined
  merged: Merged | undefined
  /** The newest snapshot in the last listing. */
  newest: Snapshot | undefined
  /** Time since which a snapshot of the instance waits to be merged. */
  behindSince: number | undefined
}

export class SyncFacts {
  sending: SendStage | undefined
  /** Id of the last known transaction of the application, or undefined before the first poll. */
  lastForeign: bigint | undefined
  /** Time at which that transaction was detected, or undefined if there was none since the start. */
  changedAt: number | undefined
  /** Time since which a change of the application waits to be stored. */
  unsentSince: number | undefined
  /** The last snapshot or delta that was stored. */
  sent: Sent | undefined
  /** The last full snapshot. */
  sentFull: Sent | undefined
  /** Tombstones of the last dump of all entries, or undefined before the first one. */
  tombstones: Tombstones | undefined
  /** Number and total size of all objects of the database in the last listing, or undefined before the first one. */
  inStorage: { readonly count: number; readonly bytes: number } | undefined
  readonly instances = new Map<string, InstanceFacts>()
  /** Quarantined snapshots by name. */
  readonly quarantined = new Map<string, Quarantined>()

  instance(name: string): InstanceFacts {
    const known = this.instances.get(name)
    if (known !== undefined) return known
    const facts = { stage: undefined, merged: undefined, newest: undefined, behindSince: undefined }
    this.instances.set(name, facts)
    return facts
  }
}
