/**
 * DBIs that were walked from their first key to their last, all keys rising, in one view. A merge walks a DBI as a
 * whole before it puts anything into it: a put among keys that are in another order than LMDB thinks goes to a wrong
 * place, and what is there cannot be found any more.
 *
 * That holds for the content of one transaction alone, since an application with a key order of its own shows it only
 * once it has put enough keys. Transactions of ours carry it on: they put keys where they belong. What an application
 * has committed does so when its new keys were looked at (`RisingDbis`), which takes a tracker that follows them.
 */
import type { DbiName } from "../../../domain/lmdb/DbiName.ts"

const none: ReadonlySet<DbiName> = new Set()

export class WalkedDbis {
  #through = 0n
  #names: ReadonlySet<DbiName> = none

  /** Those of the view of transaction `id`. */
  at(id: bigint): ReadonlySet<DbiName> {
    return id === this.#through ? this.#names : none
  }

  /** They were walked in the view of transaction `id`. */
  walked(id: bigint, names: Iterable<DbiName>): void {
    if (id < this.#through) return
    this.#names = new Set([...this.at(id), ...names])
    this.#through = id
  }

  /** Those that were known in a view from that of `before` to that of `after`. */
  between(before: bigint, after: bigint): ReadonlySet<DbiName> {
    return before <= this.#through && this.#through <= after ? this.#names : none
  }

  /** These, of those that `between` returned, are in order in the view of `after`, too. */
  followed(names: ReadonlySet<DbiName>, before: bigint, after: bigint): void {
    if (this.between(before, after) === none) return
    this.#names = names
    this.#through = after
  }

  /**
   * A merge has ended that read in transaction `seen`, and `last` is its last one, or the same. `alone`: nobody else
   * has written in between.
   */
  merged(seen: bigint, last: bigint, alone: boolean): void {
    // Later than `seen` after a dump meanwhile: of a transaction of this merge, then.
    if (alone && this.#through >= seen && this.#through <= last) this.#through = last
  }
}
