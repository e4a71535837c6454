/**
 * Which snapshots of one database may be deleted from the bucket. Plain state, told what this process has listed,
 * merged and stored. Source: docs/sync.md, Cleaner.
 *
 * Whatever is not proven by this process itself is kept: an older snapshot goes only when a newer one of its instance
 * is in the same listing and was read to its end or stored by this process; the last one of an instance only when the
 * newest snapshot of our own, in the same listing, contains it. What is no snapshot of this database is never among
 * them.
 *
 * Not guaranteed: that what the application has thrown away since is in our own snapshot. A DBI that it has dropped is
 * noticed (it is missing in our snapshot, or a merge had to make it), one that it has emptied, or dropped and made
 * again, is not.
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
  /** As it stands in object names. */
  readonly ownInstance: string
  /** Nanoseconds. */
  readonly mustKeep: bigint
  /** Nanoseconds. */
  readonly removeOldInstances: bigint
}

/** Nanoseconds: intervals are measured with the first, which no one sets; names are compared with the second. */
export interface Now {
  readonly monotonic: bigint
  readonly wall: bigint
}

interface Seen {
  readonly snapshot: Snapshot
  /** Of the monotonic clock: since when every listing has had it, with this content. */
  readonly since: bigint
}

/** It was read to its end, and all of it was merged. */
interface Merged {
  readonly snapshot: Snapshot
  readonly dbis: ReadonlyArray<string>
  /** Of the monotonic clock. */
  readonly ended: bigint
  /** None of its DBIs is known to have been dropped since. */
  readonly isWhole: boolean
}

/** The newest that this process has stored. */
interface Stored {
  readonly name: SnapshotName.SnapshotName
  readonly dbis: ReadonlySet<string>
  /** Of the monotonic clock: before its read transaction. */
  readonly began: bigint
}

const isSameObject = (a: StoredObject, b: StoredObject): boolean =>
  a.name === b.name && a.size === b.size && a.etag === b.etag

export class CleanerPlan {
  private readonly rules: CleanerRules
  /** To be told of a long listing before `deletions` is. */
  readonly names: ListedSnapshots
  /** Of the last listing, by name. */
  private seen: ReadonlyMap<string, Seen> = new Map()
  /** By name, the last one last. */
  private readonly merged = new Map<string, Merged>()
  private readonly written = new Set<string>()
  private stored: Stored | undefined

  constructor(rules: CleanerRules) {
    this.rules = rules
    this.names = new ListedSnapshots(rules.database)
  }

  /** It was read to its end without an error, and all of it was merged. `ended`: of the monotonic clock. */
  markMerged(snapshot: Snapshot, { dbis, made }: Pick<MergeResult, "dbis" | "made">, ended: bigint): void {
    // What came from other snapshots into a DBI that has been dropped since did not come back with it.
    for (const [name, earlier] of this.merged)
      if (made.some((dbi) => earlier.dbis.includes(dbi))) this.merged.set(name, { ...earlier, isWhole: false })
    this.merged.delete(snapshot.name.text)
    this.merged.set(snapshot.name.text, { snapshot, dbis, ended, isWhole: true })
  }

  /** It was stored, and the store has confirmed it. `began`: of the monotonic clock, before it was made. */
  markStored(name: SnapshotName.SnapshotName, dbis: ReadonlyArray<string>, began: bigint): void {
    this.written.add(name.text)
    if (this.stored === undefined || SnapshotName.compare(this.stored.name, name) < 0)
      this.stored = { name, dbis: new Set(dbis), began }
  }

  /**
   * What to delete, the older ones of an instance first. `objects`: all of a listing with the database's prefix; `now`:
   * after it.
   */
  deletions(objects: ReadonlyArray<StoredObject>, now: Now): ReadonlyArray<Deletion> {
    const instances = this.see(objects, now)
    return Array.from(instances.values()).flatMap((list) => this.ofInstance(list, instances, now))
  }

  /** By instance, oldest first. */
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

  /** This process knows that others can read it. */
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
   * It is in the newest snapshot of our own. That a newer one was merged, which is gone from the bucket, proves
   * nothing: the names of an instance rise with what it holds only as long as nobody removes the newest one by hand
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

  /** The last one of each instance is remembered: a listing that lags behind may not have it yet. */
  private forgetVanished(): void {
    const last = new Map(Array.from(this.merged.values(), ({ snapshot: { name } }) => [name.instance, name.text]))
    const kept = new Set(last.values())
    if (this.stored !== undefined) kept.add(this.stored.name.text)
    for (const known of [this.merged, this.written])
      for (const name of known.keys()) if (!this.seen.has(name) && !kept.has(name)) known.delete(name)
  }
}
