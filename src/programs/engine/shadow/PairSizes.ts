/**
 * Checks that all values of an MDB_DUPFIXED DBI have the same size. LMDB does not check that, and damages the pairs.
 */
import { hexOf } from "../../../domain/bytes/Hex.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { SnapshotRefused } from "../../../domain/snapshot/SnapshotRules.ts"

export class PairSizes {
  private readonly dbi: DbiName.DbiName
  private size: number | undefined

  /** Creates a check. `size` is the size of the existing values in bytes, or undefined if there are none. */
  constructor(dbi: DbiName.DbiName, size: number | undefined) {
    this.dbi = dbi
    this.size = size
  }

  /** Checks the size of a pair's value. Throws SnapshotRefused if it differs from the others. */
  check(size: number, key: Uint8Array, keyStart: number, keyEnd: number): void {
    this.size ??= size
    if (size === this.size) return
    const hex = hexOf(key, keyStart, keyEnd)
    throw new SnapshotRefused({
      problem: `DBI "${DbiName.display(this.dbi)}", key 0x${hex}: its value has ${size} bytes, those of the MDB_DUPFIXED DBI have ${this.size}`
    })
  }
}
