/**
 * What a database has done and is doing, as far as people want to know: for metrics and the status page. Plain state
 * on the main thread; `SendMeter` and `ReceiveMeter` change it. Times are milliseconds since the UNIX epoch.
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
  /** Bytes, compressed. */
  readonly size: number
  readonly entries: number
}

/** As the last dump of all entries has counted them, by the displayed name of the DBI. */
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

/** Of an instance that has snapshots in the bucket. */
export interface InstanceFacts {
  /** Undefined when nothing is being done for it. */
  stage: ReceiveStage | undefined
  merged: Merged | undefined
  /** The newest snapshot of the last listing. */
  newest: Snapshot | undefined
  /** Since when a snapshot of it waits to be merged. */
  behindSince: number | undefined
}

export class SyncFacts {
  sending: SendStage | undefined
  /** The last transaction of the application that was seen; undefined before the first look. */
  lastForeign: bigint | undefined
  /** When that one was seen; undefined: there was none since the start. */
  changedAt: number | undefined
  /** Since when something of the application waits to be stored. */
  unsentSince: number | undefined
  /** The last one. */
  sent: Sent | undefined
  /** The last full snapshot. */
  sentFull: Sent | undefined
  /** Undefined before the first dump. */
  tombstones: Tombstones | undefined
  /** Of the last listing, all objects of the database; undefined before the first. */
  inStorage: { readonly count: number; readonly bytes: number } | undefined
  readonly instances = new Map<string, InstanceFacts>()
  /** By name of the snapshot. */
  readonly quarantined = new Map<string, Quarantined>()

  instance(name: string): InstanceFacts {
    const known = this.instances.get(name)
    if (known !== undefined) return known
    const facts = { stage: undefined, merged: undefined, newest: undefined, behindSince: undefined }
    this.instances.set(name, facts)
    return facts
  }
}
