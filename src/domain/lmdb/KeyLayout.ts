/**
 * Checks the layout of the keys of a DBI: with MDB_INTEGERKEY all have 4 or all have 8 bytes, and with a transform they
 * are keys of `dupsort_hack_v1`, each the one of its value. Native mode has neither. Source: docs/format.md.
 */
import * as DbiFlags from "./DbiFlags.ts"
import * as DupsortKey from "./DupsortKey.ts"
import { isTombstone } from "./MergeRule.ts"
import type { EntryBatch } from "../snapshot/EntryBatch.ts"
import { type DbiHead, dupsortTransform, SnapshotRefused } from "../snapshot/SnapshotRules.ts"
import { hexOf } from "../bytes/Hex.ts"

/** Format 3: an empty value is a value. */
const currentFormat = 3

/** Checks one DBI message, batch after batch. */
export class KeyLayout {
  readonly #integer: boolean
  readonly #dupsort: boolean
  readonly #formatVersion: number
  #integerLength: number

  /** `integerLength`: bytes of the keys that the DBI already has, or 0 if it has none. */
  constructor(dbi: DbiHead, integerLength = 0, formatVersion = currentFormat) {
    this.#integerLength = integerLength
    this.#formatVersion = formatVersion
    this.#dupsort = dbi.transform === dupsortTransform
    // In the shadow, the keys of a DUPSORT DBI are byte strings.
    this.#integer = !this.#dupsort && (dbi.flags & BigInt(DbiFlags.INTEGERKEY)) !== 0n
  }

  /** Bytes of each key so far, with MDB_INTEGERKEY. */
  get integerLength(): number {
    return this.#integerLength
  }

  /** Checks a batch. Throws SnapshotRefused with the first key that has another layout. */
  checkBatch(batch: EntryBatch): void {
    if (this.#integer) for (let i = 0; i < batch.count; i++) this.#checkInteger(batch, i)
    if (this.#dupsort) for (let i = 0; i < batch.count; i++) this.#checkPair(batch, i)
  }

  /** A tombstone has no value that its key could be held against. */
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
