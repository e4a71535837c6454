/**
 * Histories of a bucket that two instances clean and three write to, and what must hold for every deletion. What a
 * snapshot holds is a set of numbers per DBI, so that "contained" can be looked at, not proven. The clocks of the
 * instances are their own, listings lag behind, stores and deletes fail.
 *
 * Time is in seconds. A listing lags less than `mustKeep`: that is what the interval is for.
 */
import * as SnapshotName from "../../src/domain/SnapshotName.ts"
import { CleanerPlan } from "../../src/programs/CleanerPlan.ts"
import type { StoredObject } from "../../src/services/Storage.ts"

export const actions = [
  "write",
  "write",
  "write",
  "dump",
  "store",
  "send",
  "send",
  "send",
  "merge",
  "merge all",
  "merge all",
  "clean",
  "clean",
  "clean",
  "wait",
  "wait",
  "clock",
  "drop",
  "restart",
  "spoil",
  "operator"
] as const

export interface Step {
  readonly action: (typeof actions)[number]
  /** Who does it, to whom, and how: each action takes what it needs. */
  readonly actor: number
  readonly other: number
  readonly how: number
}

/** Bugs that the property has to find. */
export interface Planted {
  /** A snapshot that was set aside counts as one that was read. */
  readonly readsCorrupt?: boolean
  /** Any snapshot of our own contains everything. */
  readonly forgetsDbis?: boolean
  /** A snapshot counts as begun when it is stored. */
  readonly beginsLate?: boolean
}

const mustKeep = 60
const removeOldInstances = 300
const second = 1_000_000_000n
const start = 1_700_000_000n
const names = ["a", "b", "c"] as const
const database = "main"

/** What is nobody's snapshot of this database. */
const foreign = [
  "README",
  "main__c__20200101-000000-000000000__GX.pb.xz",
  "main__c__20200101-000000-000000000.pb.gz",
  "main__sub__c__20200101-000000-000000000__GX.pb.gz",
  "other__c__20200101-000000-000000000__GX.pb.gz",
  "main__c__20209901-000000-000000000__GX.pb.gz"
]

type Content = Map<string, Set<number>>

interface Uploaded {
  /** Which upload it was: of one instance's, the later one has replaced the others, whatever its clock said. */
  readonly count: number
  readonly name: SnapshotName.SnapshotName
  readonly object: StoredObject
  readonly good: boolean
  readonly content: Content
}

const copyOf = (content: Content): Content => new Map(Array.from(content, ([dbi, entries]) => [dbi, new Set(entries)]))

const contains = (whole: Content, part: Content): boolean =>
  Array.from(part).every(
    ([dbi, entries]) => whole.has(dbi) && Array.from(entries).every((entry) => whole.get(dbi)!.has(entry))
  )

class Instance {
  readonly name: string
  readonly content: Content = new Map()
  offset = 0
  // Of the process.
  plan: CleanerPlan
  readonly firstSeen = new Map<string, number>()
  /** Good snapshots that it has read or stored. */
  readonly known = new Map<string, Uploaded>()
  readonly aside = new Set<string>()
  readonly dropped = new Set<string>()
  newestOwn = 0n
  dumped: { readonly content: Content; readonly began: number } | undefined

  constructor(name: string) {
    this.name = name
    this.plan = Instance.planOf(name)
  }

  static planOf(ownInstance: string): CleanerPlan {
    return new CleanerPlan({
      database,
      ownInstance,
      mustKeep: BigInt(mustKeep) * second,
      removeOldInstances: BigInt(removeOldInstances) * second
    })
  }
}

export class CleanerHistory {
  readonly violations: Array<string> = []
  deleted = { "newer snapshot": 0, "stale instance": 0 }
  private readonly planted: Planted
  private readonly instances = names.map((name) => new Instance(name))
  private readonly bucket = new Map<string, Uploaded | undefined>(foreign.map((name) => [name, undefined]))
  private listings: Array<{ readonly at: number; readonly objects: ReadonlyArray<StoredObject> }> = []
  /** All that ever were in the bucket. */
  private readonly uploads = new Map<string, Uploaded>()
  /** Removed by the operator: nobody has to hold it, but what it has replaced does not come back. */
  private readonly removed = new Set<string>()
  /** Deleted by a cleaner that was right: what it held was elsewhere. */
  private readonly cleaned = new Set<string>()
  private time = 0
  private entries = 0
  private stores = 0

  constructor(planted: Planted = {}) {
    this.planted = planted
    this.changed()
  }

  run(steps: ReadonlyArray<Step>): ReadonlyArray<string> {
    for (const step of steps) {
      this.time++
      const instance = this.instances[step.actor % 3]!
      const { how, other } = step
      switch (step.action) {
        case "write":
          this.write(instance, how % 3 === 0 ? "y" : "x")
          break
        case "dump":
          this.dump(instance)
          break
        case "store":
          this.store(instance, how)
          break
        case "send":
          this.dump(instance)
          this.store(instance, how)
          break
        case "merge":
          this.merge(instance, this.instances[other % 3]!, how)
          break
        case "merge all":
          for (const one of this.instances) this.merge(instance, one, how)
          break
        case "clean":
          this.clean(this.instances[step.actor % 2]!, how, other)
          break
        case "wait":
          this.time += [5, 70, 70, 400][how % 4]!
          break
        case "clock":
          instance.offset += [-1_000, -50, 50, 1_000][how % 4]!
          break
        case "drop":
          instance.dropped.add("y")
          instance.content.delete("y")
          break
        case "restart":
          if (how < 8) this.restart(instance, how % 4 !== 0)
          break
        case "spoil":
          if (how < 12) this.upload(instance, new Map(), false)
          break
        case "operator":
          if (how < 8) this.remove(instance)
          break
      }
    }
    for (const name of foreign) if (!this.bucket.has(name)) this.violations.push(`${name} is not ours, and gone`)
    return this.violations
  }

  private changed(): void {
    this.listings.push({
      at: this.time,
      objects: Array.from(this.bucket, ([name, uploaded]) => uploaded?.object ?? { name, size: 1, etag: "" })
    })
  }

  /** As it was a while ago. */
  private list(lag: number): ReadonlyArray<StoredObject> {
    const at = this.time - [0, 0, 10, 40][lag % 4]!
    return (this.listings.findLast((listing) => listing.at <= at) ?? this.listings[0]!).objects
  }

  private snapshotsOf(instance: string): ReadonlyArray<Uploaded> {
    return Array.from(this.bucket.values())
      .filter((uploaded) => uploaded !== undefined)
      .filter(({ name }) => name.instance === instance)
      .toSorted((a, b) => SnapshotName.compare(a.name, b.name))
  }

  private nanos(seconds: number): bigint {
    return BigInt(seconds) * second
  }

  private wall(instance: Instance): bigint {
    return start * second + this.nanos(this.time + instance.offset)
  }

  /** An application does not write to a DBI that it has dropped: the module's header says why. */
  private write({ content, dropped }: Instance, dbi: string): void {
    if (dropped.has(dbi)) return
    content.set(dbi, (content.get(dbi) ?? new Set()).add(this.entries++))
  }

  private upload(instance: Instance, content: Content, good: boolean): Uploaded {
    const wall = this.wall(instance)
    const timestampNano = wall > instance.newestOwn ? wall : instance.newestOwn + 1n
    instance.newestOwn = timestampNano
    const text = SnapshotName.format({
      database,
      instance: instance.name,
      timestampNano,
      extension: this.stores % 2 === 0 ? "pb.gz" : "pb.zst"
    })
    const count = this.stores++
    const uploaded = {
      count,
      name: SnapshotName.parse(text)!,
      object: { name: text, size: 10, etag: String(count) },
      content,
      good
    }
    this.bucket.set(text, uploaded)
    this.uploads.set(text, uploaded)
    this.changed()
    return uploaded
  }

  private dump(instance: Instance): void {
    instance.dumped = { content: copyOf(instance.content), began: this.time }
  }

  private store(instance: Instance, how: number): void {
    const { dumped } = instance
    if (dumped === undefined || how % 8 === 0) return
    instance.dumped = undefined
    const uploaded = this.upload(instance, dumped.content, true)
    // The answer was lost.
    if (how % 8 === 1) return
    instance.known.set(uploaded.name.text, uploaded)
    const began = this.planted.beginsLate === true ? this.time : dumped.began
    instance.plan.markStored(uploaded.name, Array.from(dumped.content.keys()), this.nanos(began))
  }

  /** The newest of the other one that is not set aside, if it was not merged; our own only at the start. */
  private merge(instance: Instance, other: Instance, lag: number): void {
    if (instance === other) return
    const newest = this.list(lag)
      .map(({ name }) => SnapshotName.parse(name))
      .filter((name) => name !== undefined)
      .filter((name) => name.database === database && name.instance === other.name && !instance.aside.has(name.text))
    const name = SnapshotName.newest(newest)
    if (name === undefined || instance.known.has(name.text)) return
    const uploaded = this.bucket.get(name.text)
    if (uploaded !== undefined) this.read(instance, uploaded)
  }

  private read(instance: Instance, uploaded: Uploaded): void {
    const { content, good, name, object } = uploaded
    const result = { dbis: [...content.keys()], made: [...content.keys()].filter((dbi) => !instance.content.has(dbi)) }
    if (!good) {
      instance.aside.add(name.text)
      if (this.planted.readsCorrupt === true) instance.plan.markMerged({ name, object }, result, this.nanos(this.time))
      return
    }
    for (const [dbi, entries] of content) {
      instance.dropped.delete(dbi)
      const local = instance.content.get(dbi) ?? new Set()
      instance.content.set(dbi, local)
      for (const entry of entries) local.add(entry)
    }
    instance.known.set(name.text, uploaded)
    const told = this.planted.forgetsDbis === true ? { ...result, dbis: [] } : result
    instance.plan.markMerged({ name, object }, told, this.nanos(this.time))
  }

  /** A new process: it merges the newest of its own that it can read before it does anything else. */
  private restart(instance: Instance, keepsData: boolean): void {
    instance.plan = Instance.planOf(instance.name)
    for (const state of [instance.firstSeen, instance.known, instance.aside]) state.clear()
    instance.dumped = undefined
    if (!keepsData) {
      instance.content.clear()
      instance.dropped.clear()
    }
    const own = this.snapshotsOf(instance.name)
    instance.newestOwn = own.at(-1)?.name.timestampNano ?? 0n
    const newest = own.findLast(({ good }) => good)
    if (newest !== undefined) this.read(instance, newest)
  }

  /** Somebody removes the newest snapshot by hand, and listings show it at once. */
  private remove({ name }: Instance): void {
    const newest = this.snapshotsOf(name).at(-1)
    if (newest === undefined) return
    this.bucket.delete(newest.name.text)
    this.removed.add(newest.name.text)
    this.listings = []
    this.changed()
  }

  private clean(instance: Instance, lag: number, failing: number): void {
    const listing = this.list(lag)
    for (const { name } of listing) if (!instance.firstSeen.has(name)) instance.firstSeen.set(name, this.time)
    const now = { monotonic: this.nanos(this.time), wall: this.wall(instance) }
    for (const [index, { name, reason }] of instance.plan.deletions(listing, now).entries()) {
      if ((failing + index) % 4 === 0) continue
      this.deleted[reason]++
      const problem = this.problemOf(instance, listing, name)
      if (problem === undefined) this.cleaned.add(name.text)
      else this.violations.push(`${instance.name} deletes ${name.text} (${reason}): ${problem}`)
      this.bucket.delete(name.text)
    }
    this.changed()
  }

  private problemOf(
    instance: Instance,
    listing: ReadonlyArray<StoredObject>,
    name: SnapshotName.SnapshotName
  ): string | undefined {
    if (this.time - instance.firstSeen.get(name.text)! <= mustKeep) return "it was seen too short a while ago"
    const listed = listing.map((object) => SnapshotName.parse(object.name)).filter((one) => one !== undefined)
    const newestListed = SnapshotName.newest(
      listed.filter((one) => one.database === database && one.instance === name.instance)
    )!
    if (newestListed.text === name.text) {
      if (name.instance === instance.name) return "it is the newest of its own"
      if (this.wall(instance) - name.timestampNano < this.nanos(removeOldInstances)) return "its instance is not silent"
    } else if (this.newestOldEnough(instance, listed, name.instance)?.text === name.text)
      return "it is the newest that was seen for long enough"
    return this.lossOf(instance, this.uploads.get(name.text)!)
  }

  /** What an instance loses for all others when it deletes the snapshot. */
  private lossOf(instance: Instance, deleted: Uploaded): string | undefined {
    const known = Array.from(instance.known.values())
      .filter(({ count, name }) => name.instance === deleted.name.instance && count >= deleted.count)
      .toSorted((a, b) => a.count - b.count)
    if (known.length === 0) return "neither it nor a later one was read"
    // Another instance was quicker.
    if (!this.bucket.has(deleted.name.text)) return undefined
    const later = known.filter(({ count }) => count > deleted.count)
    if (later.some(({ name }) => this.cleaned.has(name.text))) return undefined
    const isReplaced = (by: Uploaded) =>
      this.snapshotsOf(by.name.instance).some(({ count, good }) => good && count >= by.count)
    if (later.some(isReplaced)) return undefined
    const needed = known.slice(
      Math.max(
        known.findLastIndex(({ name }) => !this.removed.has(name.text)),
        0
      )
    )
    const holds = (one: Uploaded | undefined) =>
      one !== undefined &&
      one.good &&
      one.name.text !== deleted.name.text &&
      needed.some(({ content }) => contains(one.content, content))
    // By a snapshot of its own, or by another instance that has deleted the later one.
    const isTakenOver =
      later.length > 0 ||
      Array.from(instance.known.values()).some((one) => one.name.instance === instance.name && holds(one))
    return isTakenOver && Array.from(this.bucket.values()).some(holds)
      ? undefined
      : "its content is nowhere else in the bucket"
  }

  private newestOldEnough(cleaner: Instance, listed: ReadonlyArray<SnapshotName.SnapshotName>, instance: string) {
    return SnapshotName.newest(
      listed.filter(
        (one) =>
          one.database === database &&
          one.instance === instance &&
          this.time - cleaner.firstSeen.get(one.text)! > mustKeep
      )
    )
  }
}
