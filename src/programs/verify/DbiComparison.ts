/**
 * Compares the entries of one DBI at several places. It walks all of them side by side, in the order of the keys, and
 * holds at most one entry of each. If a place has several sources, the version that wins counts.
 *
 * The work per key consists of plain loops over the sources, whose number is about that of the instances.
 */
import { compareKeys, type KeyOrder } from "../../domain/lmdb/KeyOrder.ts"
import { compareVersions } from "../../domain/lmdb/VersionOrder.ts"
import { stepsPerLook } from "../engine/Engine.ts"
import type { EntryDigest } from "./EntryDigest.ts"
import { type EntrySource, Step } from "./EntrySource.ts"

/** Results of `run` that are not the index of a source. */
export const done = -1
export const paused = -2

/** Maximum number of keys that are kept as examples of a difference. */
const examplesMax = 3

export interface DifferentKey {
  readonly key: Uint8Array
  /** `missing` if the place lacks the key, or `outdated` if its version should have lost. */
  readonly kind: "missing" | "outdated"
}

/** The entries of place `from` that place `to` should have, but does not. Both are indices. */
export interface PairDifference {
  readonly from: number
  readonly to: number
  missing: number
  outdated: number
  readonly examples: Array<DifferentKey>
}

export class PlaceCount {
  entries = 0
  tombstones = 0
  readonly digest: EntryDigest

  constructor(digest: EntryDigest) {
    this.digest = digest
  }
}

export interface PlacedSource {
  /** Index of the place. */
  readonly place: number
  readonly entries: EntrySource
}

export class DbiComparison {
  readonly counts: ReadonlyArray<PlaceCount>
  readonly pairs: ReadonlyArray<PairDifference>
  private readonly order: KeyOrder
  protected readonly sources: ReadonlyArray<EntrySource>
  private readonly placeOf: Int32Array
  private readonly cutOffHigh: number
  private readonly cutOffLow: number
  /**
   * For each source, 1 if it must move on, if it has an entry, and if that entry has the smallest key, respectively.
   */
  private readonly mustMove: Uint8Array
  private readonly hasEntry: Uint8Array
  private readonly isSmallest: Uint8Array
  /**
   * For each place, the source of its version or -1, and 1 if that is a tombstone that no longer counts, respectively.
   */
  protected readonly winner: Int32Array
  protected readonly isOld: Uint8Array

  /** Creates a comparison that ignores tombstones older than `cutOffNano`. `pairs` are the places to compare. */
  constructor(
    order: KeyOrder,
    counts: ReadonlyArray<PlaceCount>,
    sources: ReadonlyArray<PlacedSource>,
    pairs: ReadonlyArray<PairDifference>,
    cutOffNano: bigint
  ) {
    this.order = order
    this.counts = counts
    this.pairs = pairs
    this.sources = sources.map(({ entries }) => entries)
    this.placeOf = Int32Array.from(sources, ({ place }) => place)
    this.cutOffHigh = Number(cutOffNano >> 32n)
    this.cutOffLow = Number(cutOffNano & 0xffffffffn)
    this.mustMove = new Uint8Array(sources.length).fill(1)
    this.hasEntry = new Uint8Array(sources.length)
    this.isSmallest = new Uint8Array(sources.length)
    this.winner = new Int32Array(counts.length)
    this.isOld = new Uint8Array(counts.length)
  }

  /** Returns `done`, `paused` after the deadline (of performance.now), or the index of a source that needs a chunk. */
  run(deadline: number): number {
    for (;;) {
      for (let step = 0; step < stepsPerLook; step++) {
        const hungry = this.moveOn()
        if (hungry >= 0) return hungry
        if (!this.takeSmallest()) return done
        this.chooseWinners()
        this.count()
        if (!this.areSame()) this.compare()
      }
      if (performance.now() >= deadline) return paused
    }
  }

  /** Returns the index of a source that needs a chunk, or -1. */
  private moveOn(): number {
    const { hasEntry, mustMove, sources } = this
    for (let s = 0; s < sources.length; s++) {
      if (mustMove[s] === 0) continue
      const step = sources[s]!.advance()
      if (step === Step.NeedChunk) return s
      hasEntry[s] = step === Step.Entry ? 1 : 0
      mustMove[s] = 0
    }
    return -1
  }

  /** Finds the sources with the smallest key, which move on next. Returns false if all sources have ended. */
  private takeSmallest(): boolean {
    const { hasEntry, isSmallest, order, sources } = this
    let smallest: EntrySource | undefined
    for (let s = 0; s < sources.length; s++) {
      isSmallest[s] = 0
      if (hasEntry[s] === 0) continue
      const one = sources[s]!
      const difference =
        smallest === undefined
          ? -1
          : compareKeys(order, one.key, one.keyStart, one.keyEnd, smallest.key, smallest.keyStart, smallest.keyEnd)
      if (difference > 0) continue
      if (difference < 0) {
        smallest = one
        isSmallest.fill(0, 0, s)
      }
      isSmallest[s] = 1
    }
    this.mustMove.set(isSmallest)
    return smallest !== undefined
  }

  private chooseWinners(): void {
    const { isSmallest, placeOf, sources, winner } = this
    winner.fill(-1)
    for (let s = 0; s < sources.length; s++) {
      if (isSmallest[s] === 0) continue
      const place = placeOf[s]!
      const other = winner[place]!
      if (other < 0 || compareVersions(sources[s]!, sources[other]!) > 0) winner[place] = s
    }
  }

  private count(): void {
    const { counts, isOld, sources, winner } = this
    for (let place = 0; place < counts.length; place++) {
      isOld[place] = 0
      if (winner[place]! < 0) continue
      const entry = sources[winner[place]!]!
      if (entry.isDeleted && this.isBeforeCutOff(entry)) {
        isOld[place] = 1
        continue
      }
      const count = counts[place]!
      count.entries++
      if (entry.isDeleted) count.tombstones++
      count.digest.add(entry)
    }
  }

  private isBeforeCutOff({ timestampHigh, timestampLow }: EntrySource): boolean {
    return timestampHigh === this.cutOffHigh ? timestampLow < this.cutOffLow : timestampHigh < this.cutOffHigh
  }

  /** True if all places have the same version of the key, or none. */
  protected areSame(): boolean {
    const { sources, winner } = this
    const first = winner[0]!
    for (let place = 1; place < winner.length; place++) {
      const other = winner[place]!
      if (other < 0 !== first < 0) return false
      if (other >= 0 && compareVersions(sources[first]!, sources[other]!) !== 0) return false
    }
    return true
  }

  /** Compares the versions of a key, which are not all equal. */
  protected compare(): void {
    const { isOld, pairs, sources, winner } = this
    for (let p = 0; p < pairs.length; p++) {
      const pair = pairs[p]!
      const theirs = winner[pair.from]!
      if (theirs < 0 || isOld[pair.from] === 1) continue
      const ours = winner[pair.to]!
      if (ours < 0) pair.missing++
      else if (compareVersions(sources[theirs]!, sources[ours]!) > 0) pair.outdated++
      else continue
      if (pair.examples.length < examplesMax) this.keepExample(pair, sources[theirs]!, ours < 0)
    }
  }

  private keepExample(pair: PairDifference, { key, keyEnd, keyStart }: EntrySource, isMissing: boolean): void {
    pair.examples.push({ key: key.slice(keyStart, keyEnd), kind: isMissing ? "missing" : "outdated" })
  }
}
