/**
 * DBIs that were walked from their first key to their last in one view, in which all keys ascend. A merge walks a whole
 * DBI before it puts anything into it, because a put among keys in another order than LMDB assumes goes to a wrong
 * position, and existing keys may no longer be found.
 *
 * The knowledge holds only for the content of one transaction, because an application with its own key order is
 * detected only once it has put enough keys. Our own transactions preserve it, because they put keys at their right
 * positions. Commits of an application preserve it if their new keys were checked (`RisingDbis`), which requires a
 * tracker.
 */
import type { DbiName } from "../../../domain/lmdb/DbiName.ts"

const none: ReadonlySet<DbiName> = new Set()

export class WalkedDbis {
  #through = 0n
  #names: ReadonlySet<DbiName> = none

  /** Returns the DBIs that are known to be in order in the view of transaction `id`. */
  at(id: bigint): ReadonlySet<DbiName> {
    return id === this.#through ? this.#names : none
  }

  /** Records DBIs that were walked in the view of transaction `id`. */
  walked(id: bigint, names: Iterable<DbiName>): void {
    if (id < this.#through) return
    this.#names = new Set([...this.at(id), ...names])
    this.#through = id
  }

  /** Returns the DBIs that were known in a view from that of `before` to that of `after`. */
  between(before: bigint, after: bigint): ReadonlySet<DbiName> {
    return before <= this.#through && this.#through <= after ? this.#names : none
  }

  /** Records that these DBIs, a subset of the result of `between`, are also in order in the view of `after`. */
  followed(names: ReadonlySet<DbiName>, before: bigint, after: bigint): void {
    if (this.between(before, after) === none) return
    this.#names = names
    this.#through = after
  }

  /**
   * Records a merge that has read in transaction `seen` and whose last transaction is `last`, which may be the same.
   * `alone` is true if nothing else was written in between.
   */
  merged(seen: bigint, last: bigint, alone: boolean): void {
    // If it is later than `seen`, a dump has recorded a transaction of this merge in the meantime.
    if (alone && this.#through >= seen && this.#through <= last) this.#through = last
  }
}
