/**
 * What is known of the snapshots of one database in the bucket: which one of each instance is to be merged next, and
 * which ones are quarantined. Plain state of one database, changed by its loops on the main thread. Source:
 * docs/sync.md, Receiving and Starting.
 */
import * as NanoTimestamp from "../../domain/snapshot/NanoTimestamp.ts"
import * as SnapshotName from "../../domain/snapshot/SnapshotName.ts"
import type { StoredObject } from "../../services/Storage.ts"
import { ListedSnapshots, type Snapshot } from "./ListedSnapshots.ts"

interface SetAside {
  readonly size: number
  readonly etag: string
  /** Nanoseconds: its time, when that was what was wrong with it. */
  readonly tooOld: bigint | undefined
  /** Ours, from before the start, and refused: it may be the only copy of what it holds, so nothing may hide it. */
  readonly blocksSending: boolean
}

export interface WhyQuarantined {
  /** Its time is all that is wrong with it, by our clock. */
  readonly isTooOld?: boolean
  readonly blocksSending?: boolean
}

/**
 * Nanoseconds of 2554-01-01. The times of snapshots have 64 bits, which end in July 2554: a snapshot of ours with a
 * later name cannot be followed by a newer one.
 */
const endOfNames = NanoTimestamp.parse("25540101-000000-000000000")!

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
  /** The newest merged snapshot of each instance. */
  private readonly merged = new Map<string, SnapshotName.SnapshotName>()
  /** Names of merged snapshots that are listed, and of the newest ones. */
  private readonly mergedNames = new Set<string>()
  /** Names that this process has written or is writing, with their times. */
  private readonly written = new Map<string, bigint>()
  /** To be told of a long listing before `update` is. */
  readonly names: ListedSnapshots
  private newestOwnNano = 0n
  private readonly waitedFor = new Set<string>()
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
    if (objects === this.objects) return
    const snapshots = this.names.by(objects)
    const own = snapshots.get(this.ownInstance)?.findLast(canBeFollowed)
    if (own !== undefined && own.name.timestampNano > this.newestOwnNano) this.newestOwnNano = own.name.timestampNano
    this.snapshots = snapshots
    this.forgetVanished()
    if (this.listings++ === 0) for (const instance of snapshots.keys()) this.waitedFor.add(instance)
    this.settle()
    this.objects = objects
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

  /** The snapshot of the instance to merge next: the newest that is not quarantined, if it was not merged. */
  next(instance: string): Snapshot | undefined {
    const snapshot = this.snapshots
      .get(instance)
      ?.findLast(({ object }) => !this.setAsides.has(object.name) && !this.written.has(object.name))
    return snapshot === undefined || this.isMerged(snapshot) ? undefined : snapshot
  }

  /**
   * One of another instance that is older than what was merged and is gone may hold what that did not: its clock was
   * ahead, was put right, and somebody has removed the snapshot with the future in its name. Of our own the names
   * always rise.
   */
  private isMerged({ name }: Snapshot): boolean {
    if (this.mergedNames.has(name.text)) return true
    const merged = this.merged.get(name.instance)
    return name.instance === this.ownInstance && merged !== undefined && SnapshotName.compare(name, merged) <= 0
  }

  /** Its name was used by another process, too: one of our name that appeared after the start. */
  isForeign(snapshot: Snapshot): boolean {
    return snapshot.name.instance === this.ownInstance && this.ownIsMerged
  }

  quarantine({ name, object }: Snapshot, { blocksSending = false, isTooOld = false }: WhyQuarantined = {}): void {
    const tooOld = isTooOld ? name.timestampNano : undefined
    this.setAsides.set(object.name, { size: object.size, etag: object.etag, tooOld, blocksSending })
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
    if (names.length > 0) this.objects = undefined
    for (const name of names) this.setAsides.delete(name)
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

  markMerged(snapshot: Snapshot): void {
    const { name } = snapshot
    this.mergedNames.add(name.text)
    if (name.instance === this.ownInstance && !canBeFollowed(snapshot)) return this.settle()
    const merged = this.merged.get(name.instance)
    if (merged === undefined || SnapshotName.compare(merged, name) < 0) this.merged.set(name.instance, name)
    this.settle()
  }

  /** Records a name before it is stored: a listing may show it before the store has returned. */
  markWritten(name: string, timestampNano: bigint): void {
    this.objects = undefined
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
   * Instances of the first listing that have not come to an end: merged, vanished, or all quarantined. Once at an end,
   * always.
   */
  get waiting(): ReadonlyArray<string> {
    return Array.from(this.waitedFor)
  }

  private settle(): void {
    this.objects = undefined
    if (this.next(this.ownInstance) === undefined) this.ownWasReplaced = false
    for (const instance of this.waitedFor) {
      if (this.merged.has(instance) || this.next(instance) === undefined) this.waitedFor.delete(instance)
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
    // In the order of writing, which is that of their times: younger ones may not be listed yet.
    for (const [name, timestampNano] of this.written) {
      if (this.newestOwnNano - timestampNano < lateness) break
      if (!listed.has(name)) this.written.delete(name)
    }
  }
}
