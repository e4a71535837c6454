/**
 * Copies of the entries that won in the read phase of a merge, by DBI and in the order of the snapshot.
 *
 * They are entries of format 3, whatever the format of the snapshot: only the deleted flag is kept, and tombstones have
 * empty values. If they exceed `limit` bytes, none are kept any longer (`overflown`).
 */
import * as EntryBatch from "../../../domain/snapshot/EntryBatch.ts"
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"

/** One DBI message of the snapshot. */
export interface Section {
  readonly head: DbiHead
  /** True if the application's DBI existed when the read phase began. */
  readonly existed: boolean
  readonly batches: Array<EntryBatch.EntryBatch>
  /** Number of entries that a merge has put. */
  written: number
}

/**
 * Sizes in bytes of the first batch of a section and of the largest batch. The first is small, because a snapshot may
 * have many DBIs with one winner each.
 */
const smallestBatch = 2 ** 14
const largestBatch = 2 ** 20
/** Average number of bytes per entry for which a batch is dimensioned. */
const bytesPerEntry = 64
/** Number of bytes that the offsets of one entry take. */
const offsetsPerEntry = 7 * 4

/** Limit in bytes. A merge with more winners runs again, inside the write transaction. */
export const winnersLimit = 32 * 2 ** 20

export class Winners {
  readonly sections: Array<Section> = []
  count = 0
  overflown = false
  /** Number of bytes that the winners take. */
  held = 0
  private end = 0
  private readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  /** Number of entries that a merge has put. */
  get written(): number {
    return this.sections.reduce((sum, { written }) => sum + written, 0)
  }

  section(head: DbiHead, existed: boolean): void {
    if (!this.overflown) this.sections.push({ head, existed, batches: [], written: 0 })
  }

  /** Adds entry `i` of `from` to the last section. */
  take(from: EntryBatch.EntryBatch, i: number, deleted: boolean): void {
    const valueStart = from.valueStart[i]!
    this.add(
      from.bytes,
      from.keyStart[i]!,
      from.keyEnd[i]!,
      from.bytes,
      valueStart,
      deleted ? valueStart : from.valueEnd[i]!,
      from.timestampHigh[i]!,
      from.timestampLow[i]!,
      deleted
    )
  }

  add(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    timestampHigh: number,
    timestampLow: number,
    deleted: boolean
  ): void {
    this.count++
    if (this.overflown) return
    const batch = this.batchFor(keyEnd - keyStart + valueEnd - valueStart)
    if (batch === undefined) {
      this.overflown = true
      this.sections.length = 0
      return
    }
    const at = batch.count++
    const target = batch.bytes
    let end = this.end
    batch.keyStart[at] = end
    for (let p = keyStart; p < keyEnd; p++) target[end++] = key[p]!
    batch.keyEnd[at] = end
    batch.valueStart[at] = end
    if (valueEnd - valueStart > 256) {
      target.set(value.subarray(valueStart, valueEnd), end)
      end += valueEnd - valueStart
    } else for (let p = valueStart; p < valueEnd; p++) target[end++] = value[p]!
    batch.valueEnd[at] = end
    batch.timestampHigh[at] = timestampHigh
    batch.timestampLow[at] = timestampLow
    batch.flags[at] = deleted ? 1 : 0
    this.end = end
  }

  /**
   * Returns the last batch of the last section, or a new one if the entry does not fit, or undefined above the limit.
   */
  private batchFor(bytes: number): EntryBatch.EntryBatch | undefined {
    const { batches } = this.sections[this.sections.length - 1]!
    const last = batches[batches.length - 1]
    if (last !== undefined && last.count < last.flags.length && this.end + bytes <= last.bytes.length) return last
    const size = Math.max(bytes, last === undefined ? smallestBatch : Math.min(largestBatch, 2 * last.bytes.length))
    const capacity = Math.max(1, Math.ceil(size / bytesPerEntry))
    this.held += size + capacity * offsetsPerEntry
    if (this.held > this.limit) return undefined
    const batch = EntryBatch.make(capacity)
    batch.bytes = new Uint8Array(size)
    this.end = 0
    batches.push(batch)
    return batch
  }
}
