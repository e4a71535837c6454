/**
 * Reads the entries of one DBI one after the other, in the order of its keys, from an LMDB or from a message in a
 * snapshot. A source shows its entry in place, in fields that change with each step, so there is no object per entry.
 */
import { Effect } from "effect"
import type * as DbiName from "../../domain/lmdb/DbiName.ts"
import { isTombstone } from "../../domain/lmdb/MergeRule.ts"
import * as NativeHeader from "../../domain/lmdb/NativeHeader.ts"
import type { Version } from "../../domain/lmdb/VersionOrder.ts"
import { Event, type SnapshotReader } from "../../domain/snapshot/SnapshotReader.ts"
import type { Cursor } from "../../services/Lmdb.ts"
import type { EngineError } from "../engine/Engine.ts"
import { notNative } from "../engine/NotNative.ts"

/** Results of `advance`: there is an entry, a chunk is needed first, or there are no more entries. */
export const Step = { Entry: 0, NeedChunk: 1, End: 2 } as const

const none = new Uint8Array(0)

/** A source. Its fields are the current entry: a version with the key `key[keyStart..keyEnd)`. */
export abstract class EntrySource implements Version {
  key: Uint8Array = none
  keyStart = 0
  keyEnd = 0
  value: Uint8Array = none
  valueStart = 0
  valueEnd = 0
  timestampHigh = 0
  timestampLow = 0
  isDeleted = false

  /** Moves to the first entry, then to the next one. Returns one of `Step`. */
  abstract advance(): number
  /** Provides the chunk that `advance` needs. */
  abstract readonly feed: Effect.Effect<void, EngineError>
}

/** Entries of an LMDB whose values have native headers. */
export class LmdbEntries extends EntrySource {
  readonly feed = Effect.void
  private readonly dbi: DbiName.DbiName
  private readonly cursor: Cursor

  constructor(dbi: DbiName.DbiName, cursor: Cursor) {
    super()
    this.dbi = dbi
    this.cursor = cursor
  }

  advance(): number {
    const { cursor } = this
    if (!cursor.next()) return Step.End
    const { value, valueEnd, valueStart } = cursor
    const start = NativeHeader.readHeader(value, valueStart, valueEnd)
    if (start < 0) throw notNative(this.dbi, cursor, start)
    this.key = cursor.key
    this.keyStart = cursor.keyStart
    this.keyEnd = cursor.keyEnd
    this.value = value
    this.valueStart = start
    this.valueEnd = valueEnd
    this.timestampHigh = NativeHeader.timestampHigh(value, valueStart)
    this.timestampLow = NativeHeader.timestampLow(value, valueStart)
    this.isDeleted = NativeHeader.isDeleted(value, valueStart)
    return Step.Entry
  }
}

/** Entries of a snapshot, from a reader that has begun the DBI. */
export class SnapshotEntries extends EntrySource {
  readonly feed: Effect.Effect<void, EngineError>
  private readonly reader: SnapshotReader
  private readonly formatVersion: number
  private next = 0

  constructor(reader: SnapshotReader, formatVersion: number, feed: Effect.Effect<void, EngineError>) {
    super()
    this.reader = reader
    this.formatVersion = formatVersion
    this.feed = feed
  }

  advance(): number {
    const { batch } = this.reader
    while (this.next >= batch.count) {
      const event = this.reader.next()
      this.next = 0
      if (event === Event.NeedChunk) return Step.NeedChunk
      if (event === Event.DbiEnd) return Step.End
    }
    const i = this.next++
    this.key = batch.bytes
    this.keyStart = batch.keyStart[i]!
    this.keyEnd = batch.keyEnd[i]!
    this.value = batch.bytes
    this.valueStart = batch.valueStart[i]!
    this.valueEnd = batch.valueEnd[i]!
    this.timestampHigh = batch.timestampHigh[i]!
    this.timestampLow = batch.timestampLow[i]!
    this.isDeleted = isTombstone(batch, i, this.formatVersion)
    return Step.Entry
  }
}
