/**
 * Checks the layout of the keys of a DBI. With MDB_INTEGERKEY, either all keys have 4 bytes or all have 8. With a
 * transform, each key must be the one that `dupsort_hack_v1` forms for its value. Native mode supports neither. Source:
 * docs/format.md.
 */
import * as DbiFlags from "./DbiFlags.ts"
import * as DupsortKey from "./DupsortKey.ts"
import { isTombstone } from "./MergeRule.ts"
import type { EntryBatch } from "../snapshot/EntryBatch.ts"
import { type DbiHead, dupsortTransform, SnapshotRefused } from "../snapshot/SnapshotRules.ts"
import { hexOf } from "../bytes/Hex.ts"

/** The current format version, 3, in which an empty value is not a tombstone. */
const currentFormat = 3

/** Checks one DBI message, batch by batch. */
export class KeyLayout {
  readonly #integer: boolean
  readonly #dupsort: boolean
  readonly #formatVersion: number
  #integerLength: number

  /** Creates a check. `integerLength` is the length of the keys that the DBI already contains, or 0 if it is empty. */
  constructor(dbi: DbiHead, integerLength = 0, formatVersion = currentFormat) {
    this.#integerLength = integerLength
    this.#formatVersion = formatVersion
    this.#dupsort = dbi.transform === dupsortTransform
    // The keys of the shadow of a DUPSORT DBI are byte strings, whatever its flags.
    this.#integer = !this.#dupsort && (dbi.flags & BigInt(DbiFlags.INTEGERKEY)) !== 0n
  }

  /** Length of the keys so far in bytes, with MDB_INTEGERKEY, or 0 before the first key. */
  get integerLength(): number {
    return this.#integerLength
  }

  /** Checks a batch. Throws SnapshotRefused with the first key that has another layout. */
  checkBatch(batch: EntryBatch): void {
    if (this.#integer) for (let i = 0; i < batch.count; i++) this.#checkInteger(batch, i)
    if (this.#dupsort) for (let i = 0; i < batch.count; i++) this.#checkPair(batch, i)
  }

  /** Checks a key of `dupsort_hack_v1`. The key of a tombstone cannot be compared with a value, because it has none. */
  #checkPair(batch: EntryBatch, i: number): void {
    const { bytes } = batch
    const start = batch.keyStart[i]!
    const end = batch.keyEnd[i]!
    if (!DupsortKey.isLayout(bytes, start, end)) this.#refuse(batch, i, `is not of the layout of ${dupsortTransform}`)
    if (isTombstone(batch, i, this.#formatVersion)) return
    if (!DupsortKey.isOfValue(bytes, start, end, bytes, batch.valueStart[i]!, batch.valueEnd[i]!))
      this.#refuse(batch, i, `is not the one that ${dupsortTransform} makes of its value`)
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
