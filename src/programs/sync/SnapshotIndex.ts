/**
 * What is known of the objects of one database in the bucket: which one of each instance is to be merged next, and
 * which ones are quarantined. Plain state of one database, changed by its loops on the main thread. Source:
 * docs/sync.md, Receiving and Starting.
 *
 * Of each instance it is known through which time everything was merged; the objects from there to its newest state are
 * a path (`SnapshotPath`). Deltas that no path leads to are waited for during `listingsOfGap` listings, since a listing
 * may lag behind. Then they are merged as they are, which is no harm to the order: what they bring is merged by itself.
 * But the time does not count as reached, so the next full snapshot is merged whatever its time.
 */
import * as NanoTimestamp from "../../domain/snapshot/NanoTimestamp.ts"
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"
import { ListedSnapshots, type Snapshot } from "./ListedSnapshots.ts"
import { pathOf, type SnapshotPath } from "./SnapshotPath.ts"

interface SetAside {
  readonly size: number
  readonly etag: string
  /** Nanoseconds: its time, when that was what was wrong with it. */
  readonly tooOld: bigint | undefined
  /** Ours, from before the start, and refused: it may be the only copy of what it holds, so nothing may hide it. */
  readonly blocksSending: boolean
}

export interface WhyQuarantined {
  /** Its time is all that is wrong with it, by our clock, and so it is with all deltas of its instance up to it. */
  readonly isTooOld?: boolean
  readonly blocksSending?: boolean
}

/**
 * Nanoseconds of 2554-01-01. The times of snapshots have 64 bits, which end in July 2554: a snapshot of ours with a
 * later name cannot be followed by a newer one.
 */
const endOfNames = NanoTimestamp.parse("25540101-000000-000000000")!

/** Listings in a row in which an object may be missing between what was merged of an instance and its deltas. */
const listingsOfGap = 10

/** Deltas of an instance that no path leads to. */
interface Gap {
  /** Through which time the instance was merged. */
  readonly through: bigint | undefined
  /** Listings in a row that have shown it. */
  readonly listings: number
}

/** Nanoseconds: an instance that has sent nothing for longer is not sent full snapshots for. */
const silence = 7n * 86_400_000_000_000n

const canBeFollowed = ({ name }: Snapshot): boolean => name.timestampNano < endOfNames

/**
 * Nanoseconds: a store that was given up may still be carried out, and a listing may lag behind; no longer than that.
 */
const lateness = 3_600_000_000_000n

export class SnapshotIndex {
  /** Snapshots of the last listing, by instance, oldest first. */
  private snapshots = new Map<string, Array<Snapshot>>()
  /** The last listing, while nothing has changed here since. */
  private objects: ReadonlyArray<StoredObject> | undefined
  private readonly setAsides = new Map<string, SetAside>()
  /** The object of each instance up to whose time everything was merged. */
  private readonly merged = new Map<string, SnapshotName.SnapshotName>()
  /** Names of objects that were merged on a path and are listed, and those of `merged`. */
  private readonly mergedNames = new Set<string>()
  /** Names of listed deltas that were merged with a gap before them. */
  private readonly mergedBeyond = new Set<string>()
  private readonly gaps = new Map<string, Gap>()
  /** By instance, until something changes. */
  private readonly paths = new Map<string, SnapshotPath>()
  /** Names that this process has written or is writing, with their times. */
  private readonly written = new Map<string, bigint>()
  /** To be told of a long listing before `update` is. */
  readonly names: ListedSnapshots
  private newestOwnNano = 0n
  /** Instances of the first listing, with the time of their newest object in it. */
  private readonly waitedFor = new Map<string, bigint>()
  private listings = 0
  /** One of ours that blocked sending was replaced by another object of its name, which is to be merged first. */
  private ownWasReplaced = false
  readonly ownInstance: string

  constructor(database: string, ownInstance: string) {
    this.names = new ListedSnapshots(database)
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
    this.snapshots = snapshots
    this.paths.clear()
    this.forgetVanished()
    if (this.listings++ > 0) return
    for (const [instance, list] of snapshots) this.waitedFor.set(instance, list.at(-1)!.name.timestampNano)
  }

  private countGap(instance: string): void {
    if (this.path(instance).beyond.length === 0) return void this.gaps.delete(instance)
    const through = this.mergedThrough(instance)
    const known = this.gaps.get(instance)
    this.gaps.set(instance, { through, listings: known?.through === through ? (known?.listings ?? 0) + 1 : 1 })
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
    if (fromNano === undefined || through === undefined || this.setAsides.has(object.name)) return false
    return fromNano <= through && through < timestampNano
  }

  private nextBeyond(instance: string): Snapshot | undefined {
    if (!this.isGapOpen(instance)) return undefined
    return this.path(instance).beyond.find(({ object }) => !this.mergedBeyond.has(object.name))
  }

  /** The first delta of the instance to which no path leads, and none has appeared for too long. */
  beyondGap(instance: string): Snapshot | undefined {
    return this.isGapOpen(instance) ? this.path(instance).beyond[0] : undefined
  }

  private isGapOpen(instance: string): boolean {
    return (this.gaps.get(instance)?.listings ?? 0) >= listingsOfGap
  }

  /** Whether something of the instance is listed that was not merged. */
  isBehind(instance: string): boolean {
    const { beyond, steps } = this.path(instance)
    return steps.length > 0 || beyond.some(({ object }) => !this.mergedBeyond.has(object.name))
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
    return list.filter(({ object }) => !this.setAsides.has(object.name) && !this.written.has(object.name))
  }

  /**
   * The time up to which everything of the instance is merged; undefined: nothing is, as far as is known.
   *
   * When all objects of another instance are older than what was merged, the latter does not count, since these may
   * hold what that did not: the instance's clock was ahead, was put right, and somebody has removed the object with the
   * future in its name. Then those count that were merged and are listed. Of our own the names always rise.
   */
  mergedThrough(instance: string): bigint | undefined {
    const merged = this.merged.get(instance)?.timestampNano
    const usable = this.usable(instance)
    const newest = usable.at(-1)?.name.timestampNano
    if (instance !== this.ownInstance && (newest === undefined || (merged !== undefined && newest >= merged)))
      return merged
    const listed = usable.findLast(({ name }) => this.mergedNames.has(name.text))?.name.timestampNano
    return instance === this.ownInstance && merged !== undefined && (listed === undefined || listed < merged)
      ? merged
      : listed
  }

  /** Its name was used by another process, too: one of our name that appeared after the start. */
  isForeign(snapshot: Snapshot): boolean {
    return snapshot.name.instance === this.ownInstance && this.ownIsMerged
  }

  quarantine(snapshot: Snapshot, { blocksSending = false, isTooOld = false }: WhyQuarantined = {}): void {
    const deltas = isTooOld ? this.usable(snapshot.name.instance).filter(({ name }) => name.kind === "delta") : []
    for (const { name, object } of [...deltas, snapshot]) {
      if (name.timestampNano > snapshot.name.timestampNano) continue
      const tooOld = isTooOld ? name.timestampNano : undefined
      this.setAsides.set(object.name, { size: object.size, etag: object.etag, tooOld, blocksSending })
    }
    this.settle()
  }

  /** Whether a snapshot of ours was refused that nothing may hide. */
  get isBlocked(): boolean {
    for (const { blocksSending } of this.setAsides.values()) if (blocksSending) return true
    return false
  }

  /** Takes back those that were too old and are not: our clock was wrong. Returns their names. */
  takeBack(isTooOld: (timestampNano: bigint) => boolean): ReadonlyArray<string> {
    const names = Array.from(this.setAsides)
      .filter(([, { tooOld }]) => tooOld !== undefined && !isTooOld(tooOld))
      .map(([name]) => name)
    for (const name of names) this.setAsides.delete(name)
    if (names.length > 0) this.settle()
    return names
  }

  /** A snapshot of our own name in the last listing that is newer than any that we can send. */
  get unsurpassable(): Snapshot | undefined {
    const newest = this.newest(this.ownInstance)
    return newest === undefined || canBeFollowed(newest) ? undefined : newest
  }

  get setAsideNames(): ReadonlyArray<string> {
    return Array.from(this.setAsides.keys())
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
    if (!isOnPath) this.mergedBeyond.add(name.text)
    else {
      this.mergedNames.add(name.text)
      if (name.instance !== this.ownInstance || canBeFollowed(snapshot)) this.merged.set(name.instance, name)
    }
    this.settle()
    return isOnPath
  }

  /** Records a name before it is stored: a listing may show it before the store has returned. */
  markWritten(name: string, timestampNano: bigint): void {
    this.objects = undefined
    this.paths.clear()
    this.written.set(name, timestampNano)
    if (timestampNano > this.newestOwnNano) this.newestOwnNano = timestampNano
  }

  /** Time of the newest known snapshot of this instance, 0 if there is none. */
  get newestOwn(): bigint {
    return this.newestOwnNano
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
    return this.path(instance).beyond.length === 0 || this.isGapOpen(instance)
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

  /**
   * A set-aside snapshot that was replaced, or is gone, is forgotten; so are names that were cleaned, but for the
   * newest: a listing may lag behind.
   */
  private forgetVanished(): void {
    const listed = new Map<string, StoredObject>()
    for (const list of this.snapshots.values()) for (const { object } of list) listed.set(object.name, object)
    for (const [name, { blocksSending, etag, size }] of this.setAsides) {
      const object = listed.get(name)
      if (object?.size === size && object.etag === etag) continue
      this.setAsides.delete(name)
      if (blocksSending && object !== undefined) this.ownWasReplaced = true
    }
    for (const name of this.mergedNames) if (!listed.has(name)) this.mergedNames.delete(name)
    for (const { text } of this.merged.values()) this.mergedNames.add(text)
    for (const name of this.mergedBeyond) if (!listed.has(name)) this.mergedBeyond.delete(name)
    for (const instance of this.gaps.keys()) if (!this.snapshots.has(instance)) this.gaps.delete(instance)
    // In the order of writing, which is that of their times: younger ones may not be listed yet.
    for (const [name, timestampNano] of this.written) {
      if (this.newestOwnNano - timestampNano < lateness) break
      if (!listed.has(name)) this.written.delete(name)
    }
  }
}
