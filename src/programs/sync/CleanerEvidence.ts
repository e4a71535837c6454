/**
 * Records what this process has merged and stored of one database. `CleanerPlan` decides from it that an object is not
 * needed. It is plain state without effects. Source: docs/sync.md, Cleaner.
 *
 * It is not guaranteed that our own snapshot contains entries that the application has removed since the merge. A
 * dropped DBI is detected, because our snapshot lacks it or a merge had to create it. A DBI that was emptied or
 * recreated is not detected.
 */
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { MergeResult } from "../../services/Database.ts"
import type { StoredObject } from "../../services/Storage.ts"
import type { Snapshot } from "./ListedSnapshots.ts"

/** An object that was read to its end and merged completely, after everything that its instance had before it. */
interface Merged {
  readonly snapshot: Snapshot
  /**
   * Names of its DBIs. For a delta, they include the DBIs of the objects before it, back to the last full snapshot that
   * was merged.
   */
  readonly dbis: ReadonlyArray<string>
  /** Monotonic time at which the merge ended. */
  readonly ended: bigint
  /** False if one of the DBIs is known to have been dropped since the merge. */
  readonly isWhole: boolean
}

/** The newest full snapshot that this process has stored. */
interface Stored {
  readonly name: SnapshotName.SnapshotName
  readonly dbis: ReadonlySet<string>
  /** Monotonic time before its read transaction began. */
  readonly began: bigint
}

/** True if both are one stored object, which was not replaced in between. */
export const isSameObject = (a: StoredObject, b: StoredObject): boolean =>
  a.name === b.name && a.size === b.size && a.etag === b.etag

export class CleanerEvidence {
  /** Merged objects by name, in the order of their merges. */
  private readonly merged = new Map<string, Merged>()
  /** The last merged object of each instance, by instance. */
  private readonly lastMerged = new Map<string, Merged>()
  /** Names of the objects that this process has stored. */
  private readonly written = new Set<string>()
  private stored: Stored | undefined
  /** Our last delta, with the monotonic time before its read transaction began. */
  private lastDelta: { readonly timestampNano: bigint; readonly began: bigint } | undefined

  /**
   * Records that an object was read to its end and merged completely. `isOnPath` is true if everything that its
   * instance had before it was merged as well. `ended` is the monotonic time at which the merge ended.
   */
  markMerged(
    snapshot: Snapshot,
    { dbis, made }: Pick<MergeResult, "dbis" | "made">,
    ended: bigint,
    isOnPath = true
  ): void {
    // A DBI that the merge had to create was dropped before. The merge does not restore what other snapshots had put
    // into it.
    for (const known of [this.merged, this.lastMerged])
      for (const [name, earlier] of known)
        if (made.some((dbi) => earlier.dbis.includes(dbi))) known.set(name, { ...earlier, isWhole: false })
    if (!isOnPath) return
    const { instance, kind, text } = snapshot.name
    const before = kind === "delta" ? this.lastMerged.get(instance) : undefined
    const merged: Merged = {
      snapshot,
      dbis: Array.from(new Set([...(before?.dbis ?? []), ...dbis])),
      ended,
      isWhole: before?.isWhole ?? true
    }
    this.merged.delete(text)
    this.merged.set(text, merged)
    this.lastMerged.set(instance, merged)
  }

  /**
   * Records that an object of ours was stored and confirmed. `began` is the monotonic time before it was dumped.
   *
   * A full snapshot that takes over the time of a delta may contain what was merged after that delta. An instance that
   * has followed our deltas does not read it, so it counts as begun with the delta.
   */
  markStored(name: SnapshotName.SnapshotName, dbis: ReadonlyArray<string>, began: bigint): void {
    const { text, timestampNano } = name
    this.written.add(text)
    if (name.kind === "delta") {
      this.lastDelta = { timestampNano, began }
      return
    }
    if (this.stored !== undefined && SnapshotName.compare(this.stored.name, name) >= 0) return
    const isOfDelta = this.lastDelta?.timestampNano === timestampNano
    this.stored = { name, dbis: new Set(dbis), began: isOfDelta ? this.lastDelta!.began : began }
  }

  /** True if this process knows that other instances can read the snapshot. */
  isProven(snapshot: Snapshot): boolean {
    return this.written.has(snapshot.name.text) || this.mergeOf(snapshot) !== undefined
  }

  private mergeOf({ name, object }: Snapshot): Merged | undefined {
    const merged = this.merged.get(name.text)
    return merged !== undefined && isSameObject(merged.snapshot.object, object) ? merged : undefined
  }

  /**
   * Returns the merge of the snapshot, or of the delta of its instance with the same time, which leads to the same
   * state.
   */
  private mergeOfState(snapshot: Snapshot): Merged | undefined {
    const { instance, timestampNano } = snapshot.name
    const isOfState = ({ snapshot: { name } }: Merged) =>
      name.kind === "delta" && name.instance === instance && name.timestampNano === timestampNano
    return this.mergeOf(snapshot) ?? Array.from(this.merged.values()).find(isOfState)
  }

  /**
   * True if our own newest full snapshot contains the state that the object leads to. A newer object that was merged
   * and has then disappeared from the bucket proves nothing: the names of an instance increase with its content only as
   * long as nobody removes the newest object by hand (`SnapshotIndex`). `ownNewest` is the name of our own newest full
   * snapshot in the listing.
   */
  isContained(snapshot: Snapshot, ownNewest: string | undefined): boolean {
    const merged = this.mergeOfState(snapshot)
    if (merged === undefined || !merged.isWhole) return false
    const { stored } = this
    if (stored === undefined || stored.name.text !== ownNewest) return false
    return stored.began > merged.ended && merged.dbis.every((dbi) => stored.dbis.has(dbi))
  }

  /**
   * Forgets merges of snapshots that have disappeared, except for the last one of each instance, because a listing may
   * lag behind.
   */
  forgetUnless(isListed: (name: string) => boolean): void {
    const last = new Map(Array.from(this.merged.values(), ({ snapshot: { name } }) => [name.instance, name.text]))
    const kept = new Set(last.values())
    if (this.stored !== undefined) kept.add(this.stored.name.text)
    for (const known of [this.merged, this.written])
      for (const name of known.keys()) if (!isListed(name) && !kept.has(name)) known.delete(name)
  }
}
