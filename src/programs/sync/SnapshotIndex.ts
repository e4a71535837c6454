/**
 * What is known of the objects of one database in the bucket: which one of each instance is to be merged next, and
 * which ones are quarantined. Plain state of one database, changed by its loops on the main thread. Source:
 * docs/sync.md, Receiving and Starting.
 *
 * Through which time everything of each instance was merged is known (`MergeProgress`); the objects from there to its
 * newest state are a path (`SnapshotPath`). Deltas that no path leads to are waited for during some listings
 * (`DeltaGaps`). Then they are merged as they are, which is no harm to the order: what they bring is merged by itself.
 * But their time does not count as reached, so the next full snapshot is merged whatever its time.
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
 * Nanoseconds of 2554-01-01. The times of snapshots have 64 bits, which end in July 2554: a snapshot of ours with a
 * later name cannot be followed by a newer one.
 */
const endOfNames = NanoTimestamp.parse("25540101-000000-000000000")!

/** Nanoseconds: an instance that has sent nothing for longer is not sent full snapshots for. */
const silence = 7n * 86_400_000_000_000n

const canBeFollowed = ({ name }: Snapshot): boolean => name.timestampNano < endOfNames

export class SnapshotIndex {
  /** Snapshots of the last listing, by instance, oldest first. */
  private snapshots = new Map<string, Array<Snapshot>>()
  /** The last listing, while nothing has changed here since. */
  private objects: ReadonlyArray<StoredObject> | undefined
  private readonly quarantined = new QuarantinedObjects()
  private readonly merged: MergeProgress
  private readonly gaps = new DeltaGaps()
  /** By instance, until something changes. */
  private readonly paths = new Map<string, SnapshotPath>()
  private readonly written = new WrittenNames()
  /** To be told of a long listing before `update` is. */
  readonly names: ListedSnapshots
  private newestOwnNano = 0n
  /** Times of our newest full snapshot that any listing has shown, and the last one; 0: none. */
  private readonly ownFull = { shown: 0n, listed: 0n }
  /** Instances of the first listing, with the time of their newest object in it. */
  private readonly waitedFor = new Map<string, bigint>()
  private listings = 0
  /** One of ours that blocked sending was replaced by another object of its name, which is to be merged first. */
  private ownWasReplaced = false
  readonly ownInstance: string

  constructor(database: string, ownInstance: string) {
    this.names = new ListedSnapshots(database)
    this.merged = new MergeProgress(ownInstance)
    this.ownInstance = ownInstance
  }

  /** Takes a new listing of the database's prefix. Objects that are not snapshots of this database are ignored. */
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

  get listed(): boolean {
    return this.listings > 0
  }

  /** Instances of the last listing. */
  get instances(): ReadonlyArray<string> {
    return Array.from(this.snapshots.keys())
  }

  /** The newest snapshot of the instance in the last listing, whatever became of it. */
  newest(instance: string): Snapshot | undefined {
    return this.snapshots.get(instance)?.at(-1)
  }

  /**
   * Whether the last listing shows another instance that does not say that it reads deltas, and whose newest snapshot
   * is younger than 7 days.
   */
  hasOriginals(nowNano: bigint): boolean {
    return Array.from(this.snapshots.values(), (list) => list.at(-1)!.name).some(
      ({ instance, readsDeltas, timestampNano }) =>
        instance !== this.ownInstance && !readsDeltas && nowNano - timestampNano < silence
    )
  }

  /** The object of the instance to merge next. */
  next(instance: string): Snapshot | undefined {
    return this.path(instance).steps[0] ?? this.nextBeyond(instance)
  }

  /** The objects of the instance to merge, in order; what comes after a gap is not among them. */
  steps(instance: string): ReadonlyArray<Snapshot> {
    const { steps } = this.path(instance)
    const beyond = steps.length === 0 ? this.nextBeyond(instance) : undefined
    return beyond === undefined ? steps : [beyond]
  }

  /** Whether a loaded object is still to be merged: a delta that leads on is, a full one gives way to newer ones. */
  isNext(snapshot: Snapshot): boolean {
    const { name, object } = snapshot
    if (this.next(name.instance)?.object.name === object.name) return true
    const through = this.mergedThrough(name.instance)
    const { fromNano, timestampNano } = name
    if (fromNano === undefined || through === undefined || this.quarantined.has(object.name)) return false
    return fromNano <= through && through < timestampNano
  }

  private nextBeyond(instance: string): Snapshot | undefined {
    if (!this.gaps.isOpen(instance)) return undefined
    return this.path(instance).beyond.find((snapshot) => !this.merged.isMergedBeyondGap(snapshot))
  }

  /** The first delta of the instance to which no path leads, and none has appeared for too long. */
  beyondGap(instance: string): Snapshot | undefined {
    return this.gaps.isOpen(instance) ? this.path(instance).beyond[0] : undefined
  }

  /** Whether something of the instance is listed that was not merged. */
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

  /** Objects that may be merged: not quarantined, and not of this process. */
  private usable(instance: string): ReadonlyArray<Snapshot> {
    const list = this.snapshots.get(instance) ?? []
    return list.filter(({ object }) => !this.quarantined.has(object.name) && !this.written.has(object.name))
  }

  /** The time up to which everything of the instance is merged; undefined: nothing is, as far as is known. */
  mergedThrough(instance: string): bigint | undefined {
    return this.merged.through(instance, this.usable(instance))
  }

  /** Its name was used by another process, too: one of our name that appeared after the start. */
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

  /** Whether a snapshot of ours was refused that nothing may hide. */
  get isBlocked(): boolean {
    return this.quarantined.blockSending
  }

  /** Takes back those that were too old and are not: our clock was wrong. Returns their names. */
  takeBack(isTooOld: (timestampNano: bigint) => boolean): ReadonlyArray<string> {
    const names = this.quarantined.takeBack(isTooOld)
    if (names.length > 0) this.settle()
    return names
  }

  /** A snapshot of our own name in the last listing that is newer than any that we can send. */
  get unsurpassable(): Snapshot | undefined {
    const newest = this.newest(this.ownInstance)
    return newest === undefined || canBeFollowed(newest) ? undefined : newest
  }

  get quarantinedNames(): ReadonlyArray<string> {
    return this.quarantined.names
  }

  /** Records that a load did not find the snapshot. */
  vanished({ name }: Snapshot): void {
    const left = this.snapshots.get(name.instance)?.filter((other) => other.name.text !== name.text) ?? []
    if (left.length === 0) this.snapshots.delete(name.instance)
    else this.snapshots.set(name.instance, left)
    this.settle()
  }

  /** Returns whether it was on a path: all that its instance had before it was merged as well. */
  markMerged(snapshot: Snapshot): boolean {
    const { name } = snapshot
    const through = this.mergedThrough(name.instance)
    const isOnPath = name.fromNano === undefined || (through !== undefined && name.fromNano <= through)
    if (isOnPath) this.merged.addOnPath(name, name.instance !== this.ownInstance || canBeFollowed(snapshot))
    else this.merged.addBeyondGap(name)
    this.settle()
    return isOnPath
  }

  /** Records a name before it is stored: a listing may show it before the store has returned. */
  markWritten(name: string, timestampNano: bigint): void {
    this.objects = undefined
    this.paths.clear()
    this.written.add(name, timestampNano)
    if (timestampNano > this.newestOwnNano) this.newestOwnNano = timestampNano
  }

  /** Time of the newest known snapshot of this instance, 0 if there is none. */
  get newestOwn(): bigint {
    return this.newestOwnNano
  }

  /** Whether somebody has removed our full snapshot of this time from the bucket, and there is no newer one. */
  isFullRemoved(timestampNano: bigint): boolean {
    return this.ownFull.listed < timestampNano && this.ownFull.shown >= timestampNano
  }

  /** Whether our own old snapshot was merged, or there is none left. */
  get ownIsMerged(): boolean {
    return this.listed && !this.waitedFor.has(this.ownInstance) && !this.isBlocked && !this.ownWasReplaced
  }

  /**
   * Instances of the first listing that have not come to an end: merged as they were then, vanished, or quarantined,
   * and not waiting for what a gap hides. Once at an end, always.
   */
  get waiting(): ReadonlyArray<string> {
    return Array.from(this.waitedFor.keys())
  }

  /** Whether nothing is to be merged, and nothing is waited for that a gap hides. */
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
