/**
 * Decides which snapshots of one database may be deleted from the bucket, from what this process has listed, and from
 * what it has merged and stored (`CleanerEvidence`). It is plain state without effects. Source: docs/sync.md, Cleaner.
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
 */
import type * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"
import { CleanerEvidence, isSameObject } from "./CleanerEvidence.ts"
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

const isFull = ({ snapshot: { name } }: Seen): boolean => name.kind === "snapshot"

const timeOf = ({ name }: Snapshot): bigint => name.timestampNano

const deletionOf = ({ snapshot: { name } }: Seen, reason: DeleteReason): Deletion => ({ name, reason })

export class CleanerPlan {
  private readonly rules: CleanerRules
  /** Parses object names. A long listing is passed to it (`learnInTurns`) before it is passed to `deletions`. */
  readonly names: ListedSnapshots
  /** Objects of the last listing, by name. */
  private seen: ReadonlyMap<string, Seen> = new Map()
  readonly evidence = new CleanerEvidence()

  constructor(rules: CleanerRules) {
    this.rules = rules
    this.names = new ListedSnapshots(rules.database)
  }

  /**
   * Returns the objects to delete, in the order in which they are to be deleted. `objects` is a listing with the
   * database's prefix, and `now` is the time after that listing.
   */
  deletions(objects: ReadonlyArray<StoredObject>, now: Now): ReadonlyArray<Deletion> {
    const instances = this.see(objects, now)
    const ownNewest = instances.get(this.rules.ownInstance)?.findLast(isFull)?.snapshot.name.text
    return Array.from(instances.values()).flatMap((list) => this.ofInstance(list, ownNewest, now))
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
    this.evidence.forgetUnless((name) => seen.has(name))
    return instances
  }

  /**
   * Returns the objects of one instance that may be deleted. `list` contains its objects, oldest first. `ownNewest` is
   * the name of our own newest full snapshot in the same listing.
   */
  private ofInstance(list: ReadonlyArray<Seen>, ownNewest: string | undefined, now: Now): ReadonlyArray<Deletion> {
    const isOld = ({ since }: Seen) => now.monotonic - since > this.rules.mustKeep
    const full = list.filter(isFull)
    const base = full.findLast(isOld)
    if (base === undefined) return []
    const covered = this.coveredBy(base, full, list, ownNewest).filter(isOld)
    const rest = [base, ...list.filter(({ snapshot }) => timeOf(snapshot) > timeOf(base.snapshot))]
    const isStale =
      rest.every((one) => isOld(one) && (one === base || !isFull(one))) && this.isStale(list, ownNewest, now)
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
    ownNewest: string | undefined
  ): ReadonlyArray<Seen> {
    const current = full.slice(full.indexOf(base))
    const isReadable = current.some(({ snapshot }) => this.evidence.isProven(snapshot))
    if (!isReadable && !this.evidence.isContained(base.snapshot, ownNewest)) return []
    return list.filter((one) => timeOf(one.snapshot) <= timeOf(base.snapshot) && !current.includes(one))
  }

  /**
   * True if an instance has sent nothing for `remove_old_instances_interval`, and our own newest full snapshot contains
   * its last state.
   */
  private isStale(list: ReadonlyArray<Seen>, ownNewest: string | undefined, now: Now): boolean {
    const newest = list.at(-1)!.snapshot
    if (newest.name.instance === this.rules.ownInstance) return false
    return now.wall - timeOf(newest) >= this.rules.removeOldInstances && this.evidence.isContained(newest, ownNewest)
  }
}
