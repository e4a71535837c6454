/**
 * What keys must look like in a DBI, beyond their order: 4 or 8 bytes with MDB_INTEGERKEY, all the same, and the layout
 * of `dupsort_hack_v1`. Native mode has neither. Source: docs/format.md.
 */
import * as DbiFlags from "./DbiFlags.ts"
import * as DupsortKey from "./DupsortKey.ts"
import type { EntryBatch } from "../snapshot/EntryBatch.ts"
import { type DbiHead, dupsortTransform, SnapshotRefused } from "../snapshot/SnapshotRules.ts"
import { hexOf } from "../bytes/Hex.ts"

/** Of one DBI message: batch after batch. */
export class KeyLayout {
  readonly #integer: boolean
  readonly #dupsort: boolean
  #integerLength: number

  /** `integerLength`: of the keys that the DBI has already; 0: none. */
  constructor(dbi: DbiHead, integerLength = 0) {
    this.#integerLength = integerLength
    this.#dupsort = dbi.transform === dupsortTransform
    // The keys of a DUPSORT DBI are byte strings in the shadow.
    this.#integer = !this.#dupsort && (dbi.flags & BigInt(DbiFlags.INTEGERKEY)) !== 0n
  }

  /** Of the keys so far, with MDB_INTEGERKEY. */
  get integerLength(): number {
    return this.#integerLength
  }

  /** Throws SnapshotRefused, with the key. */
  checkBatch(batch: EntryBatch): void {
    if (this.#integer) for (let i = 0; i < batch.count; i++) this.#checkInteger(batch, i)
    if (this.#dupsort) {
      for (let i = 0; i < batch.count; i++) {
        if (!DupsortKey.isLayout(batch.bytes, batch.keyStart[i]!, batch.keyEnd[i]!))
          this.#refuse(batch, i, `is not of the layout of ${dupsortTransform}`)
      }
    }
  }

  #checkInteger(batch: EntryBatch, i: number): void {
    const length = batch.keyEnd[i]! - batch.keyStart[i]!
    if (length === this.#integerLength) return
    if (length !== 4 && length !== 8) this.#refuse(batch, i, `has ${length} bytes, MDB_INTEGERKEY wants 4 or 8`)
    if (this.#integerLength !== 0)
      this.#refuse(batch, i, `has ${length} bytes, others of the DBI have ${this.#integerLength}`)
    this.#integerLength = length
  }

  #refuse(batch: EntryBatch, i: number, what: string): never {
    const key = hexOf(batch.bytes, batch.keyStart[i], batch.keyEnd[i])
    throw new SnapshotRefused({ problem: `key 0x${key} ${what}` })
  }
}
