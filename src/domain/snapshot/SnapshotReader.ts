/**
 * Reads a snapshot that arrives in chunks of any size, and buffers at most one entry of it.
 *
 *     reader.push(chunk)                      // when next() has returned NeedChunk
 *     switch (reader.next()) { … }            // until it returns NeedChunk again
 *     reader.finish()                         // after the last chunk: next() continues to End, or throws
 *
 * Guarantees: batches point into the chunk. Only an entry that is split across chunks is copied, and it becomes a batch
 * of one. Whatever the bytes are, they are read as a valid snapshot, or SnapshotCorrupt or SnapshotRefused is thrown.
 * Memory use is bounded by the bytes that have arrived, whatever lengths they announce. Positions are exact up to 2^53
 * bytes.
 *
 * Not checked here: the order of the keys (KeyOrderCheck), and whether a valid snapshot can be merged (SnapshotRules).
 * Source: docs/format.md.
 */
import * as DbiName from "../lmdb/DbiName.ts"
import * as EntryBatch from "./EntryBatch.ts"
import { EntryAcrossChunks } from "./SplitEntry.ts"
import { entryFieldProblem, readEntry, scanEntries } from "./EntryScan.ts"
import { GrowingBuffer } from "../bytes/GrowingBuffer.ts"
import * as Wire from "./ProtobufWire.ts"
import { SnapshotCorrupt } from "./SnapshotCorrupt.ts"
import * as SnapshotMeta from "./SnapshotMeta.ts"
import { type DbiHead, SnapshotRefused } from "./SnapshotRules.ts"

export { SnapshotCorrupt } from "./SnapshotCorrupt.ts"
export type { DbiHead } from "./SnapshotRules.ts"

/** Results of `next`. */
export const Event = { NeedChunk: 0, Batch: 1, DbiStart: 2, DbiEnd: 3, End: 4 } as const

/** Result of an internal step after which `next` continues. */
const goesOn = -1

const none = new Uint8Array(0)

/**
 * A DBI message, as far as it has been read. Name, flags and transform may follow the entries or occur more than once,
 * so they are final only at DbiEnd.
 */
export interface SnapshotDbi extends DbiHead {
  /** Index of the message in the snapshot, from 0. One DBI may be split into several messages. */
  readonly index: number
}

const Top = 0
const Meta = 1
const Dbi = 2
const Entry = 3
const levelNames = ["the snapshot", "meta", "a DBI", "an entry"]

/** How the next bytes are read: as fields, as content to gather, or as content to skip. */
const Fields = 0
const Gather = 1
const Skip = 2

/** Maximum number of entries in a batch. */
const batchSize = 4_096
/** Maximum size in bytes of names and other texts, which are buffered. No valid one is longer. */
const largestText = 65_536
/** Maximum size of an entry in bytes. LMDB's values have less than 4 GiB, and offsets in a batch have 32 bits. */
const largestEntry = 2 ** 32 - 65_536

export class SnapshotReader {
  /** The entries of the event `Batch`, valid until the next call of `next` and as long as the chunk. */
  readonly batch: EntryBatch.EntryBatch = EntryBatch.make(batchSize)

  #formatVersion = 0
  #compatVersion = 0
  #meta: { -readonly [K in keyof SnapshotMeta.SnapshotMeta]: SnapshotMeta.SnapshotMeta[K] } = { ...SnapshotMeta.empty }
  #dbi = { name: DbiName.fromText(""), flags: 0n, transform: "", index: -1 }

  #chunk: Uint8Array = none
  #at = 0
  /** Number of bytes before the chunk. */
  #base = 0
  #finished = false
  #failure: SnapshotCorrupt | undefined

  #level: typeof Top | typeof Meta | typeof Dbi | typeof Entry = Top
  #mode: typeof Fields | typeof Gather | typeof Skip = Fields
  /** Position in the snapshot at which the message of each level ends. */
  readonly #ends = [Infinity, 0, 0, 0]
  /** Number of bytes still to gather or skip. */
  #remaining = 0
  readonly #fields = new Wire.FieldReader()

  readonly #entry = new EntryAcrossChunks()
  readonly #text = new GrowingBuffer()
  /** Number of fields of the snapshot and of its DBIs that are not entries. */
  #otherFields = 0
  /** The field whose content is being gathered, and the number of its bytes that have arrived. */
  #gatheredField = 0
  #gathered = 0

  readonly #maxEntryBytes: number

  /**
   * Creates a reader that refuses snapshots with entries of more than `maxEntryBytes`. An entry that is split across
   * chunks is buffered as a whole, so an entry that does not fit into the LMDB must not be gathered.
   */
  constructor(maxEntryBytes = Infinity) {
    this.#maxEntryBytes = maxEntryBytes
  }

  get formatVersion(): number {
    return this.#formatVersion
  }
  get compatVersion(): number {
    return this.#compatVersion
  }
  get meta(): SnapshotMeta.SnapshotMeta {
    return this.#meta
  }
  get dbi(): SnapshotDbi {
    return this.#dbi
  }
  /** Number of uncompressed bytes that have been read. */
  get offset(): number {
    return this.#base + this.#at
  }

  /** True when the chunk is used up and the reader is in a DBI between two entries, or before the first one. */
  get isBetweenEntries(): boolean {
    return this.#level === Dbi && this.#isBetweenFields
  }
  /** True when the chunk is used up and the reader is between two fields of the snapshot. */
  get isAtTop(): boolean {
    return this.#level === Top && this.#isBetweenFields
  }
  get #isBetweenFields(): boolean {
    return this.#mode === Fields && !this.#fields.started && this.#at === this.#chunk.length
  }
  /** Number of fields of the snapshot and of its DBIs that have been read and are not entries. */
  get otherFields(): number {
    return this.#otherFields
  }

  /** Number of bytes of the DBI that are still to be read. */
  get dbiBytesLeft(): number {
    return this.#ends[Dbi]! - this.offset
  }
  /**
   * Skips `bytes` bytes, which must be whole entries of the DBI. May be called only between entries, and only for bytes
   * that the DBI still has.
   */
  skipEntries(bytes: number): void {
    this.#base += bytes
  }

  /**
   * Passes the next chunk, of less than 4 GiB. May be called only when `next` has returned NeedChunk, or before its
   * first call. The chunk must not change until `next` returns NeedChunk again; then the reader no longer refers to it.
   */
  push(chunk: Uint8Array): void {
    if (this.#at !== this.#chunk.length || this.#finished)
      throw new Error("SnapshotReader.push: the chunk before is not read to its end")
    this.#use(chunk)
  }

  #use(chunk: Uint8Array): void {
    this.#base += this.#chunk.length
    this.#chunk = chunk
    this.#at = 0
  }

  /** Declares that there are no more chunks. */
  finish(): void {
    this.#finished = true
  }

  /** Reads on to the next event and returns it, one of `Event`. Throws SnapshotCorrupt, again in each later call. */
  next(): number {
    if (this.#failure !== undefined) throw this.#failure
    this.batch.count = 0
    let event: number = goesOn
    while (event === goesOn) event = this.#mode === Fields ? this.#nextField() : this.#content()
    return event
  }

  /** Reads a field of the current message or its end. In a DBI, first reads all entries of the usual layouts. */
  #nextField(): number {
    const chunk = this.#chunk
    const level = this.#level
    const room = this.#ends[level]! - this.#base
    // The shift makes it an integer for V8. Positions in the snapshot may be doubles, and with both types V8 would
    // compile the loop over the entries again and again.
    const limit = (room < chunk.length ? room : chunk.length) >>> 0
    if (level === Dbi) {
      this.batch.bytes = chunk
      if (!this.#fields.started) this.#at = scanEntries(chunk, this.#at, limit, this.batch)
      if (this.batch.count === batchSize) return Event.Batch
    }
    if (this.#at === room && !this.#fields.started) return this.#leave()
    const status = this.#fields.step(chunk, this.#at, limit)
    this.#at = this.#fields.at
    if (status === Wire.Bad) return this.#fail(this.#fields.problem)
    if (status === Wire.More)
      return limit === room ? this.#fail(`a field passes the end of ${levelNames[level]}`) : this.#more()
    if (this.#fields.wire === Wire.Length) this.#checkLength(room)
    switch (level) {
      case Top:
        return this.#topField()
      case Meta:
        return this.#metaField()
      case Dbi:
        return this.#dbiField()
      case Entry:
        return this.#entryField()
    }
  }

  #checkLength(room: number): void {
    const { length } = this.#fields
    // The end of the snapshot is not known at the top level, but no file has 2^53 bytes.
    if (length > room - this.#at || length === Number.MAX_SAFE_INTEGER) {
      this.#fail(`a length passes the end of ${levelNames[this.#level]}`)
    }
  }

  /** Handles the end of the chunk: returns what was read, asks for a chunk, or ends. */
  #more(): number {
    if (this.batch.count > 0) return Event.Batch
    if (!this.#finished) {
      this.#use(none)
      this.batch.bytes = none
      return Event.NeedChunk
    }
    if (this.#level === Top && this.#mode === Fields && !this.#fields.started) return Event.End
    return this.#fail(`it ends within ${levelNames[this.#level]}`)
  }

  #leave(): number {
    switch (this.#level) {
      case Dbi:
        if (this.batch.count > 0) return Event.Batch
        this.#level = Top
        return Event.DbiEnd
      case Entry:
        this.#level = Dbi
        return this.#endEntry()
      default:
        this.#level = Top
        return goesOn
    }
  }

  #topField(): number {
    const fields = this.#fields
    this.#otherFields++
    switch (fields.field) {
      case 1:
      case 4:
        this.#expect(Wire.Varint)
        if (fields.high !== 0) this.#fail("a version of more than 32 bits")
        if (fields.field === 1) this.#formatVersion = fields.low
        else this.#compatVersion = fields.low
        return goesOn
      case 2:
        this.#expect(Wire.Length)
        this.#enter(Meta)
        return goesOn
      case 3:
        this.#expect(Wire.Length)
        this.#enter(Dbi)
        this.#dbi = { name: DbiName.fromText(""), flags: 0n, transform: "", index: this.#dbi.index + 1 }
        return Event.DbiStart
      default:
        return this.#skip()
    }
  }

  #metaField(): number {
    switch (this.#fields.field) {
      case 1:
      case 2:
      case 3:
      case 7:
        return this.#gatherText()
      case 4:
        this.#expect(Wire.Varint)
        this.#meta.lmdbTxnID = BigInt.asIntN(64, this.#number())
        return goesOn
      case 5:
        this.#expect(Wire.Fixed64)
        this.#meta.timestampNano = this.#number()
        return goesOn
      case 8:
        this.#expect(Wire.Varint)
        this.#meta.fromLmdbTxnID = BigInt.asIntN(64, this.#number())
        return goesOn
      default:
        return this.#skip()
    }
  }

  #dbiField(): number {
    if (this.#fields.field !== 2) this.#otherFields++
    switch (this.#fields.field) {
      case 1:
      case 4:
        return this.#gatherText()
      case 2:
        this.#expect(Wire.Length)
        return this.#beginEntry()
      case 3:
        this.#expect(Wire.Varint)
        this.#dbi.flags = this.#number()
        return goesOn
      default:
        return this.#skip()
    }
  }

  /** Reads an entry of an unusual layout, or begins one that continues in the next chunk. */
  #beginEntry(): number {
    const { length } = this.#fields
    if (length === 0) this.#fail("an entry of length 0")
    if (length > largestEntry) this.#fail(`an entry of ${length} bytes: LMDB holds less than 4 GiB`)
    if (length > this.#maxEntryBytes) {
      const problem =
        `an entry of ${length} bytes, and the LMDB's map has ${this.#maxEntryBytes} in all: raise the map size and restart, or ` +
        "remove that entry from the instance that it comes from"
      throw new SnapshotRefused({ problem })
    }
    const stop = this.#at + length
    if (stop <= this.#chunk.length) {
      const problem = readEntry(this.#fields, this.#chunk, this.#at, stop, this.batch)
      if (problem !== undefined) this.#fail(problem)
      this.#at = stop
      return this.batch.count === batchSize ? Event.Batch : goesOn
    }
    this.#enter(Entry)
    this.#entry.reset()
    return goesOn
  }

  #entryField(): number {
    const fields = this.#fields
    const problem = entryFieldProblem(fields, this.#ends[Entry]! - this.offset)
    if (problem !== undefined) this.#fail(problem)
    if (fields.field > 4) return this.#skip()
    if (fields.wire === Wire.Length) return this.#gather()
    this.#entry.number(fields)
    return goesOn
  }

  /**
   * Returns the gathered entry as a batch of one. The batch is empty before, because `#more` has returned the entries
   * before this one at the end of their chunk.
   */
  #endEntry(): number {
    const problem = this.#entry.show(this.batch)
    if (problem !== undefined) this.#fail(problem)
    return Event.Batch
  }

  #enter(level: typeof Meta | typeof Dbi | typeof Entry): void {
    this.#level = level
    this.#ends[level] = this.offset + this.#fields.length
  }

  #skip(): number {
    if (this.#fields.wire !== Wire.Length) return goesOn
    this.#mode = Skip
    this.#remaining = this.#fields.length
    return goesOn
  }

  #gatherText(): number {
    this.#expect(Wire.Length)
    if (this.#fields.length > largestText)
      this.#fail(`field ${this.#fields.field} of ${levelNames[this.#level]} has ${this.#fields.length} bytes`)
    return this.#gather()
  }

  #gather(): number {
    this.#mode = Gather
    this.#gatheredField = this.#fields.field
    this.#gathered = 0
    this.#remaining = this.#fields.length
    return goesOn
  }

  /** Gathers or skips the part of the content that the chunk contains. */
  #content(): number {
    const taken = Math.min(this.#remaining, this.#chunk.length - this.#at)
    if (this.#mode === Gather) {
      const end = this.#at + taken
      if (this.#level === Entry) this.#entry.put(this.#gatheredField, this.#chunk, this.#at, end, this.#gathered)
      else this.#text.put(this.#chunk, this.#at, end, this.#gathered)
      this.#gathered += taken
    }
    this.#at += taken
    this.#remaining -= taken
    if (this.#remaining > 0) return this.#more()
    if (this.#mode === Gather && this.#level !== Entry) this.#keepText()
    this.#mode = Fields
    return goesOn
  }

  #keepText(): void {
    const bytes = this.#text.bytes.subarray(0, this.#gathered)
    const field = this.#gatheredField
    if (this.#level === Dbi && field === 1) {
      this.#dbi.name = DbiName.fromBytes(bytes)
      return
    }
    const text = Buffer.from(bytes).toString("utf8")
    if (this.#level === Dbi) this.#dbi.transform = text
    else if (field === 1) this.#meta.generationID = text
    else if (field === 2) this.#meta.instanceID = text
    else if (field === 3) this.#meta.hostname = text
    else this.#meta.databaseName = text
  }

  #number(): bigint {
    return (BigInt(this.#fields.high) << 32n) | BigInt(this.#fields.low)
  }

  #expect(wire: number): void {
    if (this.#fields.wire !== wire)
      this.#fail(`field ${this.#fields.field} of ${levelNames[this.#level]} has wire type ${this.#fields.wire}`)
  }

  #fail(problem: string): never {
    this.#failure = new SnapshotCorrupt({ problem, offset: this.offset })
    throw this.#failure
  }
}
