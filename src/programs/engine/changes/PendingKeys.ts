/**
 * The keys that have changed in the DBIs of an application or in their shadows, in bounded memory: beyond the limit it
 * holds nothing any more (`overflown`), and whoever needs to know has to look at everything.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { KeySet } from "../../../domain/lmdb/KeySet.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import type { ChangeSink, ReadTransaction } from "../../../services/Lmdb.ts"

/** Bytes: some 100,000 keys of the length that PowerDNS has. To walk everything is as cheap when there are more. */
export const pendingBytesMax = 8 * 2 ** 20

const none = new KeySet()

/** Marks of a key: whether the application's DBI has it now. Unmarked: only the shadow's entry has changed. */
export const isThere = 1
export const isGone = 2

export class PendingKeys {
  overflown = false
  /** Memory that the keys take, in bytes. */
  held = 0
  private readonly limit: number
  private readonly sets = new Map<DbiName.DbiName, KeySet>()
  private readonly whole = new Set<DbiName.DbiName>()

  constructor(limit = pendingBytesMax) {
    this.limit = limit
  }

  /** Of a DBI; undefined: any of its keys may have changed. */
  of(dbi: DbiName.DbiName): KeySet | undefined {
    if (this.isWhole(dbi)) return undefined
    return this.sets.get(dbi) ?? none
  }

  /** Any key of the DBI may have changed. */
  isWhole(dbi: DbiName.DbiName): boolean {
    return this.overflown || this.whole.has(dbi)
  }

  get count(): number {
    let count = 0
    for (const set of this.sets.values()) count += set.count
    return count
  }

  /**
   * Takes what has changed since `before`, in an application's DBIs and in their shadows alike: a key that a merge has
   * put into both and the application has removed from its own since is as before there, but not in the shadow. A DBI
   * that is not in `before` counts as changed as a whole: what it held before it was dropped is unknown. So does one
   * with MDB_DUPSORT, whose shadow has other keys.
   */
  sinkSince(before: ReadTransaction): ChangeSink {
    const earlier = new Map(before.dbis.map((dbi) => [dbi.name, dbi.flags]))
    let set = none
    let isMain = true
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
        return true
      },
      key: (key, start, end, isPresent) => {
        const mark = isPresent ? isThere : isGone
        this.add(set, key, start, end, isMain ? mark : 0)
        return !this.overflown
      }
    }
  }

  /** `set`: of `setOf`. `mark`: what is known of the key now; 0: nothing new. */
  add(set: KeySet, key: Uint8Array, start: number, end: number, mark: number): void {
    const { held } = set
    const index = set.add(key, start, end)
    if (mark !== 0) set.marks[index] = mark
    this.grow(set.held - held)
  }

  /** Adds what had changed before; marks stay as they are. */
  addAll(earlier: PendingKeys): void {
    this.join(earlier, (set, keys) => set.addAll(keys))
  }

  /** Adds what has changed after; its marks win. */
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

  /** Of a DBI that is not whole: to add keys to. */
  setOf(dbi: DbiName.DbiName): KeySet {
    const found = this.sets.get(dbi)
    if (found !== undefined) return found
    const set = new KeySet()
    this.sets.set(dbi, set)
    this.grow(set.held)
    return set
  }

  /** From now on any of its keys may have changed. */
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
