/**
 * The keys that have changed in the DBIs of an application or in their shadows, in limited memory. If the limit is
 * exceeded, no keys are kept any longer (`overflown`), and all entries must be compared.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { KeySet } from "../../../domain/lmdb/KeySet.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { ChangeSink, ReadTransaction } from "../../../services/Lmdb.ts"
import { exceeds, heldErrorMax } from "./Forecast.ts"

/**
 * Limit in bytes, about 100,000 keys of the length that PowerDNS uses. With more keys, comparing all entries is as
 * cheap.
 */
export const pendingBytesMax = 8 * 2 ** 20

const none = new KeySet()

/** Marks of a key: whether the application's DBI has it now. Without a mark, only the shadow's entry has changed. */
export const isThere = 1
export const isGone = 2

export class PendingKeys {
  overflown = false
  /** Memory of the keys in bytes. */
  held = 0
  private readonly limit: number
  private readonly sets = new Map<DbiName.DbiName, KeySet>()
  private readonly whole = new Set<DbiName.DbiName>()

  constructor(limit = pendingBytesMax) {
    this.limit = limit
  }

  /** Returns the changed keys of a DBI, or undefined if any of its keys may have changed. */
  of(dbi: DbiName.DbiName): KeySet | undefined {
    if (this.isWhole(dbi)) return undefined
    return this.sets.get(dbi) ?? none
  }

  /** True if any key of the DBI may have changed. */
  isWhole(dbi: DbiName.DbiName): boolean {
    return this.overflown || this.whole.has(dbi)
  }

  get count(): number {
    let count = 0
    for (const set of this.sets.values()) count += set.count
    return count
  }

  /**
   * Returns a sink for the changes since `before` in the application's DBIs and in their shadows. Both are needed: a
   * key that a merge has put into both, and that the application has removed since, has not changed in the
   * application's DBI, but has in the shadow. A DBI that is not in `before` counts as changed as a whole, because its
   * content before it was dropped is unknown. So does a DBI with MDB_DUPSORT, because its shadow has other keys.
   */
  sinkSince(before: ReadTransaction): ChangeSink {
    const earlier = new Map(before.dbis.map((dbi) => [dbi.name, dbi.flags]))
    let set = none
    let isMain = true
    let heldAtStart = 0
    return {
      dbi: ({ flags, name }) => {
        const main = ShadowName.mainOf(name) ?? name
        if (this.overflown || DbiName.isPrivate(main)) return false
        if (earlier.get(name) !== flags || ((earlier.get(main) ?? DbiFlags.DUPSORT) & DbiFlags.DUPSORT) !== 0) {
          this.markWhole(main)
        }
        if (this.whole.has(main)) return false
        set = this.setOf(main)
        isMain = main === name
        heldAtStart = this.held
        return true
      },
      key: (key, start, end, isPresent) => {
        const mark = isPresent ? isThere : isGone
        this.add(set, key, start, end, isMain ? mark : 0)
        return !this.overflown
      },
      compared: (share) => {
        if (exceeds(heldErrorMax * this.limit, heldAtStart, this.held, share)) this.giveUp()
        return !this.overflown
      }
    }
  }

  /** Adds a key to `set`, a result of `setOf`. `mark` is the new mark of the key, or 0 if there is none. */
  add(set: KeySet, key: Uint8Array, start: number, end: number, mark: number): void {
    const { held } = set
    const index = set.add(key, start, end)
    if (mark !== 0) set.marks[index] = mark
    this.grow(set.held - held)
  }

  /** Adds earlier changes. Existing marks take precedence. */
  addAll(earlier: PendingKeys): void {
    this.join(earlier, (set, keys) => set.addAll(keys))
  }

  /** Adds later changes, whose marks take precedence. */
  addLater(later: PendingKeys): void {
    this.join(later, (set, keys) => set.addLater(keys))
  }

  private join(other: PendingKeys, add: (set: KeySet, keys: KeySet) => void): void {
    if (other.overflown) this.giveUp()
    if (this.overflown) return
    for (const dbi of other.whole) this.markWhole(dbi)
    for (const [dbi, keys] of other.sets) {
      if (this.isWhole(dbi)) continue
      const set = this.setOf(dbi)
      const { held } = set
      add(set, keys)
      this.grow(set.held - held)
    }
  }

  /** Returns the set to which keys of a DBI are added. The DBI must not count as changed as a whole. */
  setOf(dbi: DbiName.DbiName): KeySet {
    const found = this.sets.get(dbi)
    if (found !== undefined) return found
    const set = new KeySet()
    this.sets.set(dbi, set)
    this.grow(set.held)
    return set
  }

  /** Records that any key of the DBI may have changed. */
  markWhole(dbi: DbiName.DbiName): void {
    this.held -= this.sets.get(dbi)?.held ?? 0
    this.sets.delete(dbi)
    this.whole.add(dbi)
  }

  private grow(bytes: number): void {
    this.held += bytes
    if (this.held > this.limit) this.giveUp()
  }

  private giveUp(): void {
    this.overflown = true
    this.held = 0
    this.sets.clear()
    this.whole.clear()
  }
}
