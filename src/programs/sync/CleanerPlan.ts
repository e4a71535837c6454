/**
 * Decides which snapshots of one database may be deleted from the bucket. It is plain state, which learns what this
 * process has listed, merged and stored. Source: docs/sync.md, Cleaner.
 *
 * A snapshot is kept unless this process itself has proved that it is not needed. An older snapshot is deleted only if
 * a newer one of its instance is in the same listing and this process has read it to its end or stored it. The last one
 * of an instance is deleted only if our own newest snapshot, in the same listing, contains it. Objects that are not
 * snapshots of this database are never deleted.
 *
 * Not guaranteed: that our own snapshot contains entries that the application has removed since. A dropped DBI is
 * noticed (our snapshot lacks it, or a merge had to create it), but a DBI that was emptied or recreated is not.
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
  /** Instance name as it is in object names. */
  readonly ownInstance: string
  /** Nanoseconds. */
  readonly mustKeep: bigint
  /** Nanoseconds. */
  readonly removeOldInstances: bigint
}

/** Nanoseconds. Intervals are measured with the monotonic clock; names are compared with the wall clock. */
export interface Now {
  readonly monotonic: bigint
  readonly wall: bigint
}

interface Seen {
  readonly snapshot: Snapshot
  /** Monotonic time since which every listing has had the object with this content. */
  readonly since: bigint
}

/** A snapshot that was read to its end and merged completely. */
interface Merged {
  readonly snapshot: Snapshot
  readonly dbis: ReadonlyArray<string>
  /** Of the monotonic clock. */
  readonly ended: bigint
  /** Whether no DBI of it is known to have been dropped since. */
  readonly isWhole: boolean
}

/** The newest snapshot that this process has stored. */
interface Stored {
  readonly name: SnapshotName.SnapshotName
  readonly dbis: ReadonlySet<string>
  /** Monotonic time before its read transaction. */
  readonly began: bigint
}

const isSameObject = (a: StoredObject, b: StoredObject): boolean =>
  a.name === b.name && a.size === b.size && a.etag === b.etag

export class CleanerPlan {
  private readonly rules: CleanerRules
  /** Parses names; a long listing is given to it before `deletions`. */
  readonly names: ListedSnapshots
  /** Objects of the last listing, by name. */
  private seen: ReadonlyMap<string, Seen> = new Map()
  /** By name, the last one last. */
  private readonly merged = new Map<string, Merged>()
  private readonly written = new Set<string>()
  private stored: Stored | undefined

  constructor(rules: CleanerRules) {
    this.rules = rules
    this.names = new ListedSnapshots(rules.database)
  }

  /** Records that a snapshot was read to its end and merged completely. `ended`: monotonic time. */
  markMerged(snapshot: Snapshot, { dbis, made }: Pick<MergeResult, "dbis" | "made">, ended: bigint): void {
    // If a DBI was dropped, this snapshot does not bring back what other snapshots had put into it.
    for (const [name, earlier] of this.merged)
      if (made.some((dbi) => earlier.dbis.includes(dbi))) this.merged.set(name, { ...earlier, isWhole: false })
    this.merged.delete(snapshot.name.text)
    this.merged.set(snapshot.name.text, { snapshot, dbis, ended, isWhole: true })
  }

  /** Records that our snapshot was stored and confirmed. `began`: monotonic time before it was made. */
  markStored(name: SnapshotName.SnapshotName, dbis: ReadonlyArray<string>, began: bigint): void {
    this.written.add(name.text)
    if (this.stored === undefined || SnapshotName.compare(this.stored.name, name) < 0)
      this.stored = { name, dbis: new Set(dbis), began }
  }

  /**
   * Returns the objects to delete, older ones of an instance first. `objects`: a listing with the database's prefix.
   * `now`: the time after it.
   */
  deletions(objects: ReadonlyArray<StoredObject>, now: Now): ReadonlyArray<Deletion> {
    const instances = this.see(objects, now)
    return Array.from(instances.values()).flatMap((list) => this.ofInstance(list, instances, now))
  }

  /** Snapshots by instance, oldest first. */
  private see(objects: ReadonlyArray<StoredObject>, now: Now): ReadonlyMap<string, ReadonlyArray<Seen>> {
    const seen = new Map<string, Seen>()
    const instances = new Map<string, ReadonlyArray<Seen>>()
    for (const [instance, snapshots] of this.names.by(objects)) {
      // Deltas are never deleted, nor do they make a full snapshot old.
      const full = snapshots.filter(({ name }) => name.kind === "snapshot")
      if (full.length === 0) continue
      const list = full.map((snapshot): Seen => {
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

  private ofInstance(
    list: ReadonlyArray<Seen>,
    instances: ReadonlyMap<string, ReadonlyArray<Seen>>,
    now: Now
  ): ReadonlyArray<Deletion> {
    const mayGo = ({ since }: Seen) => now.monotonic - since > this.rules.mustKeep
    const kept = list.findLastIndex(mayGo)
    if (kept < 0) return []
    const deletions: Array<Deletion> = []
    if (list.slice(kept).some(({ snapshot }) => this.isProven(snapshot))) {
      for (const one of list.slice(0, kept))
        if (mayGo(one)) deletions.push({ name: one.snapshot.name, reason: "newer snapshot" })
    }
    const newest = list[kept]!.snapshot
    if (kept === list.length - 1 && this.isSilent(newest, now) && this.isContained(newest, instances)) {
      deletions.push({ name: newest.name, reason: "stale instance" })
    }
    return deletions
  }

  /** Whether this process knows that others can read the snapshot. */
  private isProven(snapshot: Snapshot): boolean {
    return this.written.has(snapshot.name.text) || this.mergeOf(snapshot) !== undefined
  }

  private mergeOf({ name, object }: Snapshot): Merged | undefined {
    const merged = this.merged.get(name.text)
    return merged !== undefined && isSameObject(merged.snapshot.object, object) ? merged : undefined
  }

  private isSilent({ name }: Snapshot, now: Now): boolean {
    return name.instance !== this.rules.ownInstance && now.wall - name.timestampNano >= this.rules.removeOldInstances
  }

  /**
   * Whether our own newest snapshot contains it. A newer one that was merged, and is gone from the bucket, proves
   * nothing: names of an instance rise with its content only as long as nobody removes the newest one by hand
   * (`SnapshotIndex.next`).
   */
  private isContained(snapshot: Snapshot, instances: ReadonlyMap<string, ReadonlyArray<Seen>>): boolean {
    const merged = this.mergeOf(snapshot)
    const own = instances.get(this.rules.ownInstance)?.at(-1)?.snapshot
    const { stored } = this
    if (merged === undefined || !merged.isWhole || stored === undefined || own?.name.text !== stored.name.text)
      return false
    return stored.began > merged.ended && merged.dbis.every((dbi) => stored.dbis.has(dbi))
  }

  /** Forgets merges of snapshots that are gone, except the last one of each instance: a listing may lag behind. */
  private forgetVanished(): void {
    const last = new Map(Array.from(this.merged.values(), ({ snapshot: { name } }) => [name.instance, name.text]))
    const kept = new Set(last.values())
    if (this.stored !== undefined) kept.add(this.stored.name.text)
    for (const known of [this.merged, this.written])
      for (const name of known.keys()) if (!this.seen.has(name) && !kept.has(name)) known.delete(name)
  }
}
