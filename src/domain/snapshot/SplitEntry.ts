/**
 * Gathers the one entry that is split across chunks. Its key and value are copied as they arrive, and the entry becomes
 * a batch of one.
 */
import type { EntryBatch } from "./EntryBatch.ts"
import { emptyKey } from "./EntryScan.ts"
import { GrowingBuffer } from "../bytes/GrowingBuffer.ts"
import type { FieldReader } from "./ProtobufWire.ts"
import { maxKeyBytes } from "../lmdb/Limits.ts"

/** Offset of the value in the buffer; the key is at 0. */
const valueOffset = maxKeyBytes

export class EntryAcrossChunks {
  readonly #buffer = new GrowingBuffer()
  #keyLength = 0
  #valueLength = 0
  #timestampHigh = 0
  #timestampLow = 0
  #flags = 0

  /** Prepares for the next entry. */
  reset(): void {
    this.#buffer.reset()
    this.#keyLength = this.#valueLength = this.#timestampHigh = this.#timestampLow = this.#flags = 0
  }

  /** Takes the entry's timestamp or flags. */
  number(fields: FieldReader): void {
    if (fields.field === 4) this.#flags = fields.low
    else {
      this.#timestampHigh = fields.high
      this.#timestampLow = fields.low
    }
  }

  /**
   * Takes the next part, possibly empty, of the key (field 1) or value (field 2), of which `before` bytes have arrived.
   */
  put(field: number, chunk: Uint8Array, start: number, end: number, before: number): void {
    this.#buffer.put(chunk, start, end, before + (field === 1 ? 0 : valueOffset))
    if (field === 1) this.#keyLength = before + end - start
    else this.#valueLength = before + end - start
  }

  /** Makes the entry the only one of the batch. Returns the problem of the entry, or undefined. */
  show(batch: EntryBatch): string | undefined {
    if (this.#keyLength === 0) return emptyKey
    batch.bytes = this.#buffer.bytes
    batch.keyStart[0] = 0
    batch.keyEnd[0] = this.#keyLength
    batch.valueStart[0] = valueOffset
    batch.valueEnd[0] = valueOffset + this.#valueLength
    batch.timestampHigh[0] = this.#timestampHigh
    batch.timestampLow[0] = this.#timestampLow
    batch.flags[0] = this.#flags
    batch.count = 1
    return undefined
  }
}
