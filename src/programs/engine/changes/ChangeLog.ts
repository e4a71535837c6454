/**
 * Records what a delta snapshot must contain: the keys that have changed since earlier dumps, in the DBIs that are
 * dumped (those of the application or, in shadow mode, their shadows). Each dump is a bookmark, which is identified by
 * its timestamp. Between two bookmarks lies a segment:
 *
 *     bookmark 1 ── segment ── bookmark 2 ── segment ── bookmark 3 ── segment ── now
 *
 * The changes since bookmark 2 are the union of the segments from there on, so each key is stored about once, however
 * many bookmarks there are. A bookmark that is no longer needed is removed, and its segment is joined to the previous
 * one.
 *
 * The memory of all segments is limited: if it is exceeded, the oldest ones are discarded, and if the newest one alone
 * is too large, the changes are no longer known (`isKnown`). The same happens as soon as it is clear that the newest
 * segment will be too large for a delta, so that its other keys are not determined in vain.
 */
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { KeySet } from "../../../domain/lmdb/KeySet.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { ChangeSink, ReadTransaction } from "../../../services/Lmdb.ts"
import { exceeds, heldErrorMax } from "./Forecast.ts"
import { isGone, isThere, PendingKeys, pendingBytesMax } from "./PendingKeys.ts"

export interface Bookmark {
  /** Time of the dump in nanoseconds since the UNIX epoch. */
  readonly timestampNano: bigint
  /** Id of the last transaction that the dump contains. */
  readonly transactionId: bigint
}

/** The changes since a bookmark. */
export interface ChangesSince {
  readonly bookmark: Bookmark
  readonly keys: PendingKeys
}

/** Number of keys in a segment up to which tracking goes on in any case, because it costs little. */
const trackedMin = 4_096

export class ChangeLog {
  /** Segments, oldest first. New changes are added to the last one. */
  private segments: ReadonlyArray<ChangesSince> = []
  /** Memory of all segments except for the last one, in bytes. */
  private heldBefore = 0
  /** Maximum number of keys in a segment. */
  private keysMax = Infinity
  private readonly isShadowMode: boolean
  private readonly limit: number

  constructor(isShadowMode: boolean, limit = pendingBytesMax) {
    this.isShadowMode = isShadowMode
    this.limit = limit
  }

  get isKnown(): boolean {
    return this.segments.length > 0
  }

  get count(): number {
    return this.segments.reduce((sum, { keys }) => sum + keys.count, 0)
  }

  /** Memory of the keys in bytes. */
  get held(): number {
    return this.heldBefore + (this.segments.at(-1)?.keys.held ?? 0)
  }

  /** Sets a bookmark at the newest state. More than `keysMax` keys are not tracked from there. */
  mark(bookmark: Bookmark, keysMax = Infinity): void {
    this.keysMax = Math.max(keysMax, trackedMin)
    this.keep([...this.segments, { bookmark, keys: new PendingKeys(Infinity) }])
  }

  /** Removes all other bookmarks. The changes since the given ones stay known. */
  keepOnly(timestamps: ReadonlyArray<bigint>): void {
    const kept: Array<ChangesSince> = []
    for (const segment of this.segments) {
      if (timestamps.includes(segment.bookmark.timestampNano)) kept.push(segment)
      else kept.at(-1)?.keys.addLater(segment.keys)
    }
    this.keep(kept)
    this.shrink()
  }

  /**
   * Returns the changes since the oldest bookmark that is not older than `timestampNano`, or undefined if there is
   * none. The result is valid until the next `keepOnly`.
   */
  since(timestampNano: bigint): ChangesSince | undefined {
    const [first, ...others] = this.segments.filter(({ bookmark }) => bookmark.timestampNano >= timestampNano)
    if (first === undefined || others.length === 0) return first
    const keys = new PendingKeys(Infinity)
    for (const segment of [first, ...others]) keys.addLater(segment.keys)
    return { bookmark: first.bookmark, keys }
  }

  clear(): void {
    this.keep([])
  }

  /**
   * Returns a sink for the changes since `before`. A new DBI counts as changed as a whole, and so does its shadow:
   * while the application had no such DBI, changes of the shadow were in no dump.
   */
  sinkSince(before: ReadTransaction, after: ReadTransaction): ChangeSink {
    const earlier = new Map(before.dbis.map((dbi) => [dbi.name, dbi.flags]))
    const there = new Set(after.dbis.map(({ name }) => name))
    let set: KeySet | undefined
    const atStart = { held: 0, count: 0 }
    return {
      dbi: ({ flags, name }) => {
        set = undefined
        const keys = this.segments.at(-1)?.keys
        if (keys === undefined) return false
        atStart.held = keys.held
        atStart.count = keys.count
        const isNew = earlier.get(name) !== flags
        const dumped = this.dumpedOf(name)
        if (dumped !== name) {
          if (isNew && dumped !== undefined && there.has(dumped)) keys.markWhole(dumped)
          return false
        }
        if (isNew) keys.markWhole(name)
        if (!keys.isWhole(name)) set = keys.setOf(name)
        return set !== undefined
      },
      key: (key, start, end, isPresent) => {
        this.segments.at(-1)!.keys.add(set!, key, start, end, isPresent ? isThere : isGone)
        this.shrink()
        return this.isKnown
      },
      compared: (share) => {
        const { count, held } = this.segments.at(-1)!.keys
        const isTooLarge =
          exceeds(heldErrorMax * this.limit, atStart.held, held, share) ||
          exceeds(this.keysMax, atStart.count, count, share)
        if (isTooLarge) this.clear()
        return !isTooLarge
      }
    }
  }

  /**
   * Returns the DBI in which the changes of this one are dumped, which may be itself, or undefined if there is none.
   */
  private dumpedOf(name: DbiName.DbiName): DbiName.DbiName | undefined {
    if (this.isShadowMode && ShadowName.isShadow(name)) return name
    if (DbiName.isPrivate(name)) return undefined
    return this.isShadowMode ? ShadowName.of(name) : name
  }

  private keep(segments: ReadonlyArray<ChangesSince>): void {
    this.segments = segments
    this.heldBefore = segments.slice(0, -1).reduce((sum, { keys }) => sum + keys.held, 0)
  }

  private shrink(): void {
    while (this.isKnown && this.held > this.limit) this.keep(this.segments.slice(1))
  }
}
