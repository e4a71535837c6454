/** Whole snapshots as values, through the reader and the writer: for tests, which can afford it. */
import * as DbiName from "../../src/domain/DbiName.ts"
import type { EntryBatch } from "../../src/domain/EntryBatch.ts"
import { Event, SnapshotReader } from "../../src/domain/SnapshotReader.ts"
import type { SnapshotMeta } from "../../src/domain/SnapshotMeta.ts"
import { dbiHead, EntryEncoder, entrySize, snapshotHead } from "../../src/domain/SnapshotWriter.ts"

export interface DecodedEntry {
  /** Hexadecimal. */
  readonly key: string
  readonly value: string
  readonly timestampNano: bigint
  readonly flags: number
}

export interface DecodedDbi {
  readonly name: DbiName.DbiName
  readonly flags: bigint
  readonly transform: string
  readonly entries: ReadonlyArray<DecodedEntry>
}

export interface DecodedSnapshot {
  readonly formatVersion: number
  readonly compatVersion: number
  readonly meta: SnapshotMeta
  readonly dbis: ReadonlyArray<DecodedDbi>
}

export const entryOf = (batch: EntryBatch, i: number): DecodedEntry => ({
  key: Buffer.from(batch.bytes.subarray(batch.keyStart[i], batch.keyEnd[i])).toString("hex"),
  value: Buffer.from(batch.bytes.subarray(batch.valueStart[i], batch.valueEnd[i])).toString("hex"),
  timestampNano: (BigInt(batch.timestampHigh[i]!) << 32n) | BigInt(batch.timestampLow[i]!),
  flags: batch.flags[i]!
})

/** In pieces of these sizes, over and over; a size of 0 counts as 1. */
export const cut = (message: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < message.length;) {
    const size = Math.max(1, sizes[chunks.length % sizes.length] ?? message.length)
    // A copy, which `slice` of a Buffer is not.
    chunks.push(new Uint8Array(message.subarray(at, at + size)))
    at += size
  }
  return chunks
}

/**
 * Throws what the reader throws. Each chunk is overwritten when the reader asks for the next one: it must not look
 * back.
 */
export const decodeChunks = (
  chunks: ReadonlyArray<Uint8Array>,
  onBatch?: (batch: EntryBatch, dbi: number) => void
): DecodedSnapshot => {
  const reader = new SnapshotReader()
  const dbis: Array<DecodedDbi> = []
  let entries: Array<DecodedEntry> = []
  let next = 0
  for (;;) {
    switch (reader.next()) {
      case Event.NeedChunk: {
        chunks[next - 1]?.fill(0xa5)
        const chunk = chunks[next++]
        if (chunk === undefined) reader.finish()
        else reader.push(chunk)
        break
      }
      case Event.DbiStart:
        entries = []
        break
      case Event.Batch:
        onBatch?.(reader.batch, reader.dbi.index)
        for (let i = 0; i < reader.batch.count; i++) entries.push(entryOf(reader.batch, i))
        break
      case Event.DbiEnd: {
        const { flags, name, transform } = reader.dbi
        dbis.push({ name, flags, transform, entries })
        break
      }
      case Event.End:
        return {
          formatVersion: reader.formatVersion,
          compatVersion: reader.compatVersion,
          meta: { ...reader.meta },
          dbis
        }
    }
  }
}

export const decode = (message: Uint8Array, ...sizes: ReadonlyArray<number>): DecodedSnapshot =>
  decodeChunks(cut(message, sizes.length === 0 ? [message.length] : sizes))

/** As the writer does it. */
export const encode = (snapshot: DecodedSnapshot): Uint8Array => {
  const parts: Array<Uint8Array> = [snapshotHead(snapshot, snapshot.meta)]
  for (const dbi of snapshot.dbis) {
    const encoder = new EntryEncoder(new Uint8Array(16))
    let counted = 0
    for (const entry of dbi.entries) {
      const key = Buffer.from(entry.key, "hex")
      const value = Buffer.from(entry.value, "hex")
      const high = Number(entry.timestampNano >> 32n)
      const low = Number(entry.timestampNano & 0xffff_ffffn)
      counted += entrySize(key.length, value.length, entry.flags, high | low)
      encoder.add(key, 0, key.length, value, 0, value.length, high, low, entry.flags)
    }
    parts.push(dbiHead(dbi.name, dbi.flags, dbi.transform, counted), encoder.bytes.subarray(0, encoder.length))
  }
  return new Uint8Array(Buffer.concat(parts))
}
