/**
 * DBIs that were walked from their first key to their last, all keys rising, in one view. A merge walks a DBI as a
 * whole before it puts anything into it: a put among keys that are in another order than LMDB thinks goes to a wrong
 * place, and what is there cannot be found any more.
 *
 * That holds for the content of one transaction alone, since an application with a key order of its own shows it only
 * once it has put enough keys. Transactions of ours carry it on: they put keys where they belong. What an application
 * has committed does not, nor does it carry on what is known of members (KnownMembers), so the next merge reads all of
 * its snapshot anyway, and the walk beside it costs nothing more.
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

  /**
   * A merge has ended that read in transaction `seen`, and `last` is its last one, or the same. `alone`: nobody else
   * has written in between.
   */
  merged(seen: bigint, last: bigint, alone: boolean): void {
    // Later than `seen` after a dump meanwhile: of a transaction of this merge, then.
    if (alone && this.#through >= seen && this.#through <= last) this.#through = last
  }
}
