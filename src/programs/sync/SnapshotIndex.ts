/**
 * The index of the objects of one database in the bucket. It decides which object of each instance is merged next, and
 * knows which objects are quarantined. It is plain state, which the loops of the database change on the main thread.
 * Source: docs/sync.md, Receiving and Starting.
 *
 * `MergeProgress` records up to which time everything of an instance was merged. The objects from that time to the
 * newest state of the instance form a path (`SnapshotPath`). If no path leads to a delta, the missing object is waited
 * for during several listings (`DeltaGaps`). After that, the deltas behind the gap are merged anyway. This is safe,
 * because each entry is merged by its own timestamp. The time of such a delta does not count as reached, so the next
 * full snapshot is merged whatever its time.
 */
import * as NanoTimestamp from "../../domain/snapshot/NanoTimestamp.ts"
import type { StoredObject } from "../../services/Storage.ts"
import { ListedSnapshots, type Snapshot } from "./ListedSnapshots.ts"
import { DeltaGaps } from "./receive/DeltaGaps.ts"
import { MergeProgress } from "./receive/MergeProgress.ts"
import { QuarantinedObjects, type WhyQuarantined } from "./receive/QuarantinedObjects.ts"
import { WrittenNames } from "./send/WrittenNames.ts"
import { pathOf, type SnapshotPath } from "./SnapshotPath.ts"

/**
 * 2554-01-01 in nanoseconds since the UNIX epoch. The time in a name has 64 bits, which end in July 2554. If a snapshot
 * under our name is later than this, no newer one can follow it.
 */
const endOfNames = NanoTimestamp.parse("25540101-000000-000000000")!

/** Nanoseconds. If an instance has sent nothing for longer than this, no full snapshots are sent for its sake. */
const silence = 7n * 86_400_000_000_000n

const canBeFollowed = ({ name }: Snapshot): boolean => name.timestampNano < endOfNames

export class SnapshotIndex {
  /** Snapshots of the last listing, by instance, oldest first. */
  private snapshots = new Map<string, Array<Snapshot>>()
  /** The last listing, or undefined if the state has changed since. */
  private objects: ReadonlyArray<StoredObject> | undefined
  private readonly quarantined = new QuarantinedObjects()
  private readonly merged: MergeProgress
  private readonly gaps = new DeltaGaps()
  /** Paths by instance. They are discarded when the state changes. */
  private readonly paths = new Map<string, SnapshotPath>()
  private readonly written = new WrittenNames()
  /** Parses object names. A long listing is passed to it (`learnInTurns`) before it is passed to `update`. */
  readonly names: ListedSnapshots
  private newestOwnNano = 0n
  /**
   * Times of our newest full snapshot in all listings so far (`shown`) and in the last listing (`listed`), or 0 if
   * there is none.
   */
  private readonly ownFull = { shown: 0n, listed: 0n }
  /** Instances of the first listing that are still waited for, with the time of their newest object in that listing. */
  private readonly waitedFor = new Map<string, bigint>()
  private listings = 0
  /**
   * True if a snapshot of ours that blocked sending was replaced by another object with its name, which must be merged
   * before anything is sent.
   */
  private ownWasReplaced = false
  readonly ownInstance: string

  constructor(database: string, ownInstance: string) {
    this.names = new ListedSnapshots(database)
    this.merged = new MergeProgress(ownInstance)
    this.ownInstance = ownInstance
  }

  /** Records a new listing of the database's prefix. Objects that are not snapshots of this database are ignored. */
  update(objects: ReadonlyArray<StoredObject>): void {
    if (objects !== this.objects) this.take(objects)
    for (const instance of this.snapshots.keys()) this.countGap(instance)
    this.settle()
    this.objects = objects
  }

  private take(objects: ReadonlyArray<StoredObject>): void {
    const snapshots = this.names.by(objects)
    const own = snapshots.get(this.ownInstance)?.findLast(canBeFollowed)
    if (own !== undefined && own.name.timestampNano > this.newestOwnNano) this.newestOwnNano = own.name.timestampNano
    const isFull = (snapshot: Snapshot): boolean => snapshot.name.kind === "snapshot" && canBeFollowed(snapshot)
    this.ownFull.listed = snapshots.get(this.ownInstance)?.findLast(isFull)?.name.timestampNano ?? 0n
    if (this.ownFull.listed > this.ownFull.shown) this.ownFull.shown = this.ownFull.listed
    this.snapshots = snapshots
    this.paths.clear()
    this.forgetVanished()
    if (this.listings++ > 0) return
    for (const [instance, list] of snapshots) this.waitedFor.set(instance, list.at(-1)!.name.timestampNano)
  }

  private countGap(instance: string): void {
    if (this.path(instance).beyond.length === 0) this.gaps.close(instance)
    else this.gaps.count(instance, this.mergedThrough(instance))
  }

  /** True after the first listing. */
  get listed(): boolean {
    return this.listings > 0
  }

  /** Instances of the last listing. */
  get instances(): ReadonlyArray<string> {
    return Array.from(this.snapshots.keys())
  }

  /** Returns the newest snapshot of the instance in the last listing, whether or not it was merged or quarantined. */
  newest(instance: string): Snapshot | undefined {
    return this.snapshots.get(instance)?.at(-1)
  }

  /**
   * True if the last listing shows another instance that does not announce in its names that it reads deltas, and whose
   * newest snapshot is younger than 7 days.
   */
  hasOriginals(nowNano: bigint): boolean {
    return Array.from(this.snapshots.values(), (list) => list.at(-1)!.name).some(
      ({ instance, readsDeltas, timestampNano }) =>
        instance !== this.ownInstance && !readsDeltas && nowNano - timestampNano < silence
    )
  }

  /** Returns the object of the instance to merge next. */
  next(instance: string): Snapshot | undefined {
    return this.path(instance).steps[0] ?? this.nextBeyond(instance)
  }

  /**
   * Returns the objects of the instance to merge, in order. Of the deltas behind a gap, only the next one is returned,
   * and only if there is nothing else to merge.
   */
  steps(instance: string): ReadonlyArray<Snapshot> {
    const { steps } = this.path(instance)
    const beyond = steps.length === 0 ? this.nextBeyond(instance) : undefined
    return beyond === undefined ? steps : [beyond]
  }

  /**
   * True if a loaded object should still be merged. A delta should be if it continues from what was merged. A full
   * snapshot gives way to a newer one.
   */
  isNext(snapshot: Snapshot): boolean {
    const { name, object } = snapshot
    if (this.next(name.instance)?.object.name === object.name) return true
    return this.continuesFrom(this.mergedThrough(name.instance), snapshot)
  }

  /**
   * Returns the first of these objects that should still be merged, each continuing from the one before it: none if the
   * first one should not. The objects are loaded, and in the order of a path.
   */
  leading(row: ReadonlyArray<Snapshot>): ReadonlyArray<Snapshot> {
    const [first, ...following] = row
    if (first === undefined || !this.isNext(first)) return []
    let through = first.name.timestampNano
    const end = following.findIndex((snapshot) => {
      const continues = this.continuesFrom(through, snapshot)
      through = snapshot.name.timestampNano
      return !continues
    })
    return end < 0 ? row : row.slice(0, 1 + end)
  }

  private continuesFrom(through: bigint | undefined, { name, object }: Snapshot): boolean {
    const { fromNano, timestampNano } = name
    if (fromNano === undefined || through === undefined || this.quarantined.has(object.name)) return false
    return fromNano <= through && through < timestampNano
  }

  private nextBeyond(instance: string): Snapshot | undefined {
    if (!this.gaps.isOpen(instance)) return undefined
    return this.path(instance).beyond.find((snapshot) => !this.merged.isMergedBeyondGap(snapshot))
  }

  /** Returns the first delta behind a gap of the instance, if the missing object was waited for long enough. */
  beyondGap(instance: string): Snapshot | undefined {
    return this.gaps.isOpen(instance) ? this.path(instance).beyond[0] : undefined
  }

  /** True if a listed object of the instance has not been merged yet. */
  isBehind(instance: string): boolean {
    const { beyond, steps } = this.path(instance)
    return steps.length > 0 || beyond.some((snapshot) => !this.merged.isMergedBeyondGap(snapshot))
  }

  private path(instance: string): SnapshotPath {
    const known = this.paths.get(instance)
    if (known !== undefined) return known
    const path = pathOf(this.usable(instance), this.mergedThrough(instance))
    this.paths.set(instance, path)
    return path
  }

  /** Returns the objects that may be merged: those that are neither quarantined nor written by this process. */
  private usable(instance: string): ReadonlyArray<Snapshot> {
    const list = this.snapshots.get(instance) ?? []
    return list.filter(({ object }) => !this.quarantined.has(object.name) && !this.written.has(object.name))
  }

  /**
   * Returns the time up to which everything of the instance is merged, or undefined if nothing is known to be merged.
   */
  mergedThrough(instance: string): bigint | undefined {
    return this.merged.through(instance, this.usable(instance))
  }

  /**
   * True if another process has written the snapshot under our name: it appeared after our own old snapshots were
   * merged.
   */
  isForeign(snapshot: Snapshot): boolean {
    return snapshot.name.instance === this.ownInstance && this.ownIsMerged
  }

  quarantine(snapshot: Snapshot, why: WhyQuarantined = {}): void {
    const { instance, timestampNano } = snapshot.name
    const isTooOld = ({ name }: Snapshot) => name.kind === "delta" && name.timestampNano <= timestampNano
    if (why.isTooOld === true)
      for (const delta of this.usable(instance).filter(isTooOld)) this.quarantined.add(delta, { isTooOld: true })
    this.quarantined.add(snapshot, why)
    this.settle()
  }

  /** True if a refused snapshot of ours blocks sending, because a newer one would hide it. */
  get isBlocked(): boolean {
    return this.quarantined.blockSending
  }

  /** Releases snapshots that were quarantined as too old only because our clock was wrong. Returns their names. */
  release(isTooOld: (timestampNano: bigint) => boolean): ReadonlyArray<string> {
    const names = this.quarantined.release(isTooOld)
    if (names.length > 0) this.settle()
    return names
  }

  /** The newest snapshot under our name in the last listing, if its time is too late for us to send a newer one. */
  get unsurpassable(): Snapshot | undefined {
    const newest = this.newest(this.ownInstance)
    return newest === undefined || canBeFollowed(newest) ? undefined : newest
  }

  get quarantinedNames(): ReadonlyArray<string> {
    return this.quarantined.names
  }

  /** Records that the bucket no longer contains a listed snapshot. */
  vanished({ name }: Snapshot): void {
    const left = this.snapshots.get(name.instance)?.filter((other) => other.name.text !== name.text) ?? []
    if (left.length === 0) this.snapshots.delete(name.instance)
    else this.snapshots.set(name.instance, left)
    this.settle()
  }

  /**
   * Records a merge. Returns true if the snapshot was on a path, that is, if everything that its instance had before it
   * was merged as well.
   */
  markMerged(snapshot: Snapshot): boolean {
    const { name } = snapshot
    const through = this.mergedThrough(name.instance)
    const isOnPath = name.fromNano === undefined || (through !== undefined && name.fromNano <= through)
    if (isOnPath) this.merged.addOnPath(name, name.instance !== this.ownInstance || canBeFollowed(snapshot))
    else this.merged.addBeyondGap(name)
    this.settle()
    return isOnPath
  }

  /** Records the name of an object before it is stored, because a listing may show it before the store has returned. */
  markWritten(name: string, timestampNano: bigint): void {
    this.objects = undefined
    this.paths.clear()
    this.written.add(name, timestampNano)
    if (timestampNano > this.newestOwnNano) this.newestOwnNano = timestampNano
  }

  /** Time of our newest known snapshot in nanoseconds, or 0 if there is none. */
  get newestOwn(): bigint {
    return this.newestOwnNano
  }

  /**
   * True if our full snapshot of this time was listed earlier but has been removed from the bucket, and there is no
   * newer one.
   */
  isFullRemoved(timestampNano: bigint): boolean {
    return this.ownFull.listed < timestampNano && this.ownFull.shown >= timestampNano
  }

  /** True if our own snapshots from before the start are merged, or if there are none. */
  get ownIsMerged(): boolean {
    return this.listed && !this.waitedFor.has(this.ownInstance) && !this.isBlocked && !this.ownWasReplaced
  }

  /**
   * The instances of the first listing that are still waited for. An instance is done when its state as of that listing
   * is merged, or when its remaining objects have disappeared or are quarantined and no gap is waited for. An instance
   * that is done stays done.
   */
  get waiting(): ReadonlyArray<string> {
    return Array.from(this.waitedFor.keys())
  }

  /** True if nothing of the instance is to be merged, and no gap is waited for. */
  private hasNothingLeft(instance: string): boolean {
    if (this.next(instance) !== undefined) return false
    return this.path(instance).beyond.length === 0 || this.gaps.isOpen(instance)
  }

  private settle(): void {
    this.objects = undefined
    this.paths.clear()
    if (this.hasNothingLeft(this.ownInstance)) this.ownWasReplaced = false
    for (const [instance, newest] of this.waitedFor) {
      const through = this.mergedThrough(instance)
      if ((through !== undefined && through >= newest) || this.hasNothingLeft(instance)) this.waitedFor.delete(instance)
    }
  }

  private forgetVanished(): void {
    const listed = new Map<string, StoredObject>()
    for (const list of this.snapshots.values()) for (const { object } of list) listed.set(object.name, object)
    const isListed = (name: string) => listed.has(name)
    if (this.quarantined.keepOnly(listed)) this.ownWasReplaced = true
    this.merged.keepOnly(isListed)
    this.gaps.keepOnly((instance) => this.snapshots.has(instance))
    this.written.keepOnly(isListed, this.newestOwnNano)
  }
}
