/**
 * The one entry that does not lie in a chunk as a whole: its key and value are copied together as they arrive, what is
 * skipped is not, and it is shown as a batch of one.
 */
import type { EntryBatch } from "./EntryBatch.ts"
import { emptyKey } from "./EntryScan.ts"
import { GrowingBuffer } from "../bytes/GrowingBuffer.ts"
import type { FieldReader } from "./ProtobufWire.ts"
import { maxKeyBytes } from "../lmdb/Limits.ts"

/** The key is at 0 in the buffer, the value here. */
const valueOffset = maxKeyBytes

export class EntryAcrossChunks {
  readonly #buffer = new GrowingBuffer()
  #keyLength = 0
  #valueLength = 0
  #timestampHigh = 0
  #timestampLow = 0
  #flags = 0

  /** For the next entry. */
  reset(): void {
    this.#buffer.reset()
    this.#keyLength = this.#valueLength = this.#timestampHigh = this.#timestampLow = this.#flags = 0
  }

  /** Its timestamp or its flags. */
  number(fields: FieldReader): void {
    if (fields.field === 4) this.#flags = fields.low
    else {
      this.#timestampHigh = fields.high
      this.#timestampLow = fields.low
    }
  }

  /** The next part, possibly empty, of its key (field 1) or value (field 2), of which there were `before` bytes. */
  put(field: number, chunk: Uint8Array, start: number, end: number, before: number): void {
    this.#buffer.put(chunk, start, end, before + (field === 1 ? 0 : valueOffset))
    if (field === 1) this.#keyLength = before + end - start
    else this.#valueLength = before + end - start
  }

  /** Makes it the only entry of the batch. Returns what is wrong with it, or undefined. */
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
