/**
 * What a delta snapshot has to hold: the keys that have changed since earlier dumps, in the DBIs that are dumped (those
 * of the application, in shadow mode their shadows). Each dump is a bookmark, named by its timestamp. Between two
 * bookmarks lies a segment:
 *
 *     bookmark 1 ── segment ── bookmark 2 ── segment ── bookmark 3 ── segment ── now
 *
 * What has changed since bookmark 2 is the union of the segments from there on. So each key is held about once, however
 * many bookmarks there are. A bookmark that nobody needs any more is removed, and its segment joins the one before.
 *
 * The memory of all segments is bounded: beyond the limit the oldest ones go, and when the newest alone is too large,
 * nothing is known any more (`isKnown`).
 */
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { KeySet } from "../../../domain/lmdb/KeySet.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { ChangeSink, ReadTransaction } from "../../../services/Lmdb.ts"
import { isGone, isThere, PendingKeys, pendingBytesMax } from "./PendingKeys.ts"

export interface Bookmark {
  /** Nanoseconds since the UNIX epoch: time of the dump. */
  readonly timestampNano: bigint
  /** Id of the last transaction that the dump contains. */
  readonly transactionId: bigint
}

/** What has changed since a bookmark. */
export interface ChangesSince {
  readonly bookmark: Bookmark
  readonly keys: PendingKeys
}

export class ChangeLog {
  /** Oldest first. The last one takes what changes now. */
  private segments: ReadonlyArray<ChangesSince> = []
  /** Memory of all segments but the last one. */
  private heldBefore = 0
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

  /** Memory that the keys take, in bytes. */
  get held(): number {
    return this.heldBefore + (this.segments.at(-1)?.keys.held ?? 0)
  }

  /** Sets a bookmark at the newest state. */
  mark(bookmark: Bookmark): void {
    this.keep([...this.segments, { bookmark, keys: new PendingKeys(Infinity) }])
  }

  /** Removes all bookmarks but these. What has changed since one of these stays known. */
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
   * What has changed since the oldest bookmark that is not older than `timestampNano`; undefined when there is none.
   * Valid until the next `keepOnly`.
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
   * Takes what has changed since `before`. A DBI that is new counts as changed as a whole. So does the shadow of one
   * that is new: while the application had none of that name, the shadow's changes were in no dump.
   */
  sinkSince(before: ReadTransaction, after: ReadTransaction): ChangeSink {
    const earlier = new Map(before.dbis.map((dbi) => [dbi.name, dbi.flags]))
    const there = new Set(after.dbis.map(({ name }) => name))
    let set: KeySet | undefined
    return {
      dbi: ({ flags, name }) => {
        set = undefined
        const keys = this.segments.at(-1)?.keys
        if (keys === undefined) return false
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
      }
    }
  }

  /** The DBI that is dumped for this one or is this one; undefined: there is none. */
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
