/**
 * Decides which snapshots of one database may be deleted from the bucket, from what this process has listed, merged and
 * stored. It is plain state without effects. Source: docs/sync.md, Cleaner.
 *
 * An object is deleted only if this process itself has proved that it is not needed:
 *
 * - A full snapshot or a delta that ends at time T is deleted only if it is covered: the same listing contains a newer
 *   full snapshot of its instance, with a time of T or later. In addition, this process must have stored that full
 *   snapshot or read it to its end, or must have merged its content from deltas and stored it in a full snapshot of its
 *   own. A delta that is not covered is kept, because instances that follow the deltas need it.
 * - The last full snapshot of an instance and the deltas after it are deleted only if our own newest full snapshot, in
 *   the same listing, contains them.
 * - Objects that do not belong to this database are never deleted.
 *
 * It is not guaranteed that our own snapshot contains entries that the application has removed since the merge. A
 * dropped DBI is detected, because our snapshot lacks it or a merge had to create it. A DBI that was emptied or
 * recreated is not detected.
 */
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { MergeResult } from "../../services/Database.ts"
import type { StoredObject } from "../../services/Storage.ts"
import { ListedSnapshots, type Snapshot } from "./ListedSnapshots.ts"

export type DeleteReason = "newer snapshot" | "stale instance"

export interface Deletion {
  readonly name: SnapshotName.SnapshotName
  readonly reason: DeleteReason
}

export interface CleanerRules {
  readonly database: string
  /** Name of our instance as in object names. */
  readonly ownInstance: string
  /** Nanoseconds. */
  readonly mustKeep: bigint
  /** Nanoseconds. */
  readonly removeOldInstances: bigint
}

/**
 * The current time in nanoseconds. Intervals are measured with the monotonic clock, and the times in object names are
 * compared with the wall clock.
 */
export interface Now {
  readonly monotonic: bigint
  readonly wall: bigint
}

interface Seen {
  readonly snapshot: Snapshot
  /** Monotonic time since which every listing has contained this object unchanged. */
  readonly since: bigint
}

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

const isSameObject = (a: StoredObject, b: StoredObject): boolean =>
  a.name === b.name && a.size === b.size && a.etag === b.etag

const isFull = ({ snapshot: { name } }: Seen): boolean => name.kind === "snapshot"

const timeOf = ({ name }: Snapshot): bigint => name.timestampNano

const deletionOf = ({ snapshot: { name } }: Seen, reason: DeleteReason): Deletion => ({ name, reason })

export class CleanerPlan {
  private readonly rules: CleanerRules
  /** Parses object names. A long listing is passed to it (`learnInTurns`) before it is passed to `deletions`. */
  readonly names: ListedSnapshots
  /** Objects of the last listing, by name. */
  private seen: ReadonlyMap<string, Seen> = new Map()
  /** Merged objects by name, in the order of their merges. */
  private readonly merged = new Map<string, Merged>()
  /** The last merged object of each instance, by instance. */
  private readonly lastMerged = new Map<string, Merged>()
  /** Names of the objects that this process has stored. */
  private readonly written = new Set<string>()
  private stored: Stored | undefined
  /** Our last delta, with the monotonic time before its read transaction began. */
  private lastDelta: { readonly timestampNano: bigint; readonly began: bigint } | undefined

  constructor(rules: CleanerRules) {
    this.rules = rules
    this.names = new ListedSnapshots(rules.database)
  }

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

  /**
   * Returns the objects to delete, in the order in which they are to be deleted. `objects` is a listing with the
   * database's prefix, and `now` is the time after that listing.
   */
  deletions(objects: ReadonlyArray<StoredObject>, now: Now): ReadonlyArray<Deletion> {
    const instances = this.see(objects, now)
    return Array.from(instances.values()).flatMap((list) => this.ofInstance(list, instances, now))
  }

  /** Records a listing. Returns its snapshots by instance, oldest first. */
  private see(objects: ReadonlyArray<StoredObject>, now: Now): ReadonlyMap<string, ReadonlyArray<Seen>> {
    const seen = new Map<string, Seen>()
    const instances = new Map<string, ReadonlyArray<Seen>>()
    for (const [instance, snapshots] of this.names.by(objects)) {
      const list = snapshots.map((snapshot): Seen => {
        const before = this.seen.get(snapshot.name.text)
        return before !== undefined && isSameObject(before.snapshot.object, snapshot.object)
          ? before
          : { snapshot, since: now.monotonic }
      })
      for (const one of list) seen.set(one.snapshot.name.text, one)
      instances.set(instance, list)
    }
    this.seen = seen
    this.forgetVanished()
    return instances
  }

  /** Returns the objects of one instance that may be deleted. `list` contains its objects, oldest first. */
  private ofInstance(
    list: ReadonlyArray<Seen>,
    instances: ReadonlyMap<string, ReadonlyArray<Seen>>,
    now: Now
  ): ReadonlyArray<Deletion> {
    const isOld = ({ since }: Seen) => now.monotonic - since > this.rules.mustKeep
    const full = list.filter(isFull)
    const base = full.findLast(isOld)
    if (base === undefined) return []
    const ours = instances.get(this.rules.ownInstance) ?? []
    const covered = this.coveredBy(base, full, list, ours).filter(isOld)
    const rest = [base, ...list.filter(({ snapshot }) => timeOf(snapshot) > timeOf(base.snapshot))]
    const isStale = rest.every((one) => isOld(one) && (one === base || !isFull(one))) && this.isStale(list, ours, now)
    return [
      ...covered.map((one) => deletionOf(one, "newer snapshot")),
      // The newest object is deleted first. If a delete fails, the remaining objects form an earlier state of the
      // instance.
      ...(isStale ? rest.toReversed().map((one) => deletionOf(one, "stale instance")) : [])
    ]
  }

  /**
   * Returns the objects that the full snapshot `base` covers and that other instances do not need, because they can
   * read `base` or a newer full snapshot, or because our own newest one contains `base`.
   */
  private coveredBy(
    base: Seen,
    full: ReadonlyArray<Seen>,
    list: ReadonlyArray<Seen>,
    ours: ReadonlyArray<Seen>
  ): ReadonlyArray<Seen> {
    const current = full.slice(full.indexOf(base))
    if (!current.some(({ snapshot }) => this.isProven(snapshot)) && !this.isContained(base.snapshot, ours)) return []
    return list.filter((one) => timeOf(one.snapshot) <= timeOf(base.snapshot) && !current.includes(one))
  }

  /**
   * True if an instance has sent nothing for `remove_old_instances_interval`, and our own newest full snapshot contains
   * its last state.
   */
  private isStale(list: ReadonlyArray<Seen>, ours: ReadonlyArray<Seen>, now: Now): boolean {
    const newest = list.at(-1)!.snapshot
    if (newest.name.instance === this.rules.ownInstance) return false
    return now.wall - timeOf(newest) >= this.rules.removeOldInstances && this.isContained(newest, ours)
  }

  /** True if this process knows that other instances can read the snapshot. */
  private isProven(snapshot: Snapshot): boolean {
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
   * long as nobody removes the newest object by hand (`SnapshotIndex`). `ours` contains our own objects in the listing.
   */
  private isContained(snapshot: Snapshot, ours: ReadonlyArray<Seen>): boolean {
    const merged = this.mergeOfState(snapshot)
    if (merged === undefined || !merged.isWhole) return false
    const { stored } = this
    if (stored === undefined || ours.findLast(isFull)?.snapshot.name.text !== stored.name.text) return false
    return stored.began > merged.ended && merged.dbis.every((dbi) => stored.dbis.has(dbi))
  }

  /**
   * Forgets merges of snapshots that have disappeared, except for the last one of each instance, because a listing may
   * lag behind.
   */
  private forgetVanished(): void {
    const last = new Map(Array.from(this.merged.values(), ({ snapshot: { name } }) => [name.instance, name.text]))
    const kept = new Set(last.values())
    if (this.stored !== undefined) kept.add(this.stored.name.text)
    for (const known of [this.merged, this.written])
      for (const name of known.keys()) if (!this.seen.has(name) && !kept.has(name)) known.delete(name)
  }
}
