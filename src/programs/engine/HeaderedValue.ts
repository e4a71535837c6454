/**
 * Builds native values to put: the header with the id of the transaction, followed by the application value. A
 * tombstone has no value. Source: docs/format.md.
 */
import type { EntryBatch } from "../../domain/snapshot/EntryBatch.ts"
import { blockSize, size, writeHeader } from "../../domain/lmdb/NativeHeader.ts"
import { copyWords, overrun, Words } from "../../domain/bytes/Words.ts"

export class HeaderedValue {
  /** The last built value is `bytes[0..length)`. Its application value begins at `header`. The buffer is reused. */
  bytes = new Uint8Array(4096)
  length = 0
  readonly header: number
  private readonly target = new Words(this.bytes)
  private readonly source = new Words(this.bytes)
  private readonly paddingBlocks: number
  private idHigh = 0
  private idLow = 0

  constructor(paddingBlocks: number) {
    this.paddingBlocks = paddingBlocks
    this.header = size + blockSize * paddingBlocks
  }

  /** Sets the id of the transaction that values are built for. */
  begin(id: bigint): void {
    this.idHigh = Number(id >> 32n)
    this.idLow = Number(id & 0xffffffffn)
  }

  build(
    from: Uint8Array,
    valueStart: number,
    valueEnd: number,
    timestampHigh: number,
    timestampLow: number,
    deleted: boolean
  ): void {
    const length = deleted ? 0 : valueEnd - valueStart
    const { header } = this
    this.length = header + length
    if (this.length + overrun > this.bytes.length) this.bytes = new Uint8Array(2 * (this.length + overrun))
    const { bytes } = this
    writeHeader(bytes, 0, timestampHigh, timestampLow, this.idHigh, this.idLow, deleted, this.paddingBlocks)
    copyWords(bytes, this.target.use(bytes), header, from, this.source.use(from), valueStart, valueStart + length)
  }

  buildFrom(batch: EntryBatch, i: number, deleted: boolean): void {
    this.build(
      batch.bytes,
      batch.valueStart[i]!,
      batch.valueEnd[i]!,
      batch.timestampHigh[i]!,
      batch.timestampLow[i]!,
      deleted
    )
  }
}
