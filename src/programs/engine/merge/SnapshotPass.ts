/**
 * Reads a snapshot once, from its first byte to its last, and passes the entries of each DBI to a phase of the merge.
 * It checks the structure, the versions and the rules for each DBI before anything may be committed.
 *
 * The name, flags and transform of a DBI, and the versions, may legally come after the entries that they apply to;
 * releases 0.2 and 0.3 write DBIs in that order. The first pass assumes the values that it has seen before the entries.
 * If the end of the snapshot contradicts them (`isDisproved`), the only valid result of the pass is what it has
 * learned, and a second pass is needed that uses this from the start (`known`).
 */
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { KeyLayout } from "../../../domain/lmdb/KeyLayout.ts"
import { Event, SnapshotReader } from "../../../domain/snapshot/SnapshotReader.ts"
import type { DbiHead } from "../../../domain/snapshot/SnapshotRules.ts"
import type { ReadTransaction } from "../../../services/Lmdb.ts"
import { stepsPerLook } from "../Engine.ts"
import { State } from "../WriteJob.ts"
import { type KnownMember, sectionOf } from "./KnownMembers.ts"
import { type Counts, MembersRead } from "./MergedMembers.ts"
import { type MergeEntries, OrderOnly } from "./MergeEntries.ts"
import { orderOfHead } from "./Mode.ts"
import type { SnapshotKnowledge } from "./SnapshotKnowledge.ts"
import { checkAllowed, type ReceivingLmdb, refusalOf } from "./SnapshotRefusals.ts"

/** A phase of a merge, or another consumer of a snapshot's entries. */
export interface Phase extends ReceivingLmdb {
  /** Returns the length of the first key of a DBI in bytes, or 0 if the DBI does not exist or has no entries. */
  readonly keyLength: (dbi: DbiName.DbiName) => number
  /** Called at the beginning of each DBI message that is to be merged. Returns the consumer of its entries. */
  readonly beginDbi: (head: DbiHead, formatVersion: number) => MergeEntries
}

/** Returns the length of the first key of an existing DBI in bytes, or 0 if it has no entries. */
export const firstKeyLength = (view: ReadTransaction, dbi: DbiName.DbiName): number => {
  const cursor = view.cursor(dbi)
  const length = cursor.next() ? cursor.keyEnd - cursor.keyStart : 0
  cursor.close()
  return length
}

/** The next action of a pass: to read on, to merge the batch that was read, or to end the DBI. */
const Step = { Read: 0, MergeBatch: 1, EndDbi: 2 } as const

/** The DBI message that is being read. */
interface CurrentDbi {
  /** The head that the DBI is assumed to have. */
  readonly head: DbiHead
  readonly entries: MergeEntries
  /** Checks the keys. Undefined if the DBI is not merged. */
  readonly layout: KeyLayout | undefined
}

export class SnapshotPass {
  readonly reader: SnapshotReader
  /** Number of entries, skipped ones included. */
  entriesRead = 0
  entriesSkipped = 0
  /** True if the end of the snapshot has disproved what the pass had assumed. */
  isDisproved = false
  /** Members that contain nothing new from now on. Valid at the end, unless `isDisproved`. */
  readonly members = new MembersRead()
  private readonly phase: Phase
  private readonly known: SnapshotKnowledge | undefined
  /** Heads of the DBI messages that have been read to their end. */
  private readonly heads: Array<DbiHead> = []
  private readonly integerLengths = new Map<DbiName.DbiName, number>()
  /** Format version that the entries are assumed to have. */
  private formatVersion: number | undefined
  private step: (typeof Step)[keyof typeof Step] = Step.Read
  private dbi: CurrentDbi | undefined
  /** Number of tombstones left out of the DBIs before the current one. */
  private leftOutBefore = 0

  constructor(phase: Phase, known: SnapshotKnowledge | undefined) {
    this.phase = phase
    this.known = known
    this.reader = new SnapshotReader(phase.mode.room.mapSize)
  }

  /** The facts for a second pass. Valid at the end. */
  get learned(): SnapshotKnowledge {
    return { formatVersion: this.reader.formatVersion, heads: this.heads }
  }

  /** The DBIs that are merged, each once. Valid at the end. */
  get dbis(): ReadonlyArray<DbiName.DbiName> {
    return Array.from(new Set(this.heads.map(({ name }) => name).filter((name) => !DbiName.isPrivate(name))))
  }

  /** Takes the next chunk, after `advance` has returned `NeedChunk`. */
  push(chunk: Uint8Array): void {
    this.endMember()
    this.reader.push(chunk)
  }

  /** Takes a whole member instead of a chunk. */
  pushMember(digest: string, content: Uint8Array): void {
    this.endMember()
    if (this.reader.isBetweenEntries) this.members.begin(digest, content.length, this.counts)
    this.reader.push(content)
  }

  /**
   * Skips a member instead of taking a chunk, because it brings nothing new. Returns false if it must be pushed all the
   * same, since its entries may mean something else at this place.
   */
  skip(member: KnownMember): boolean {
    this.endMember()
    if (!this.reader.isBetweenEntries) return false
    this.dbi ??= this.beginDbi()
    if (this.section() !== member.section || member.bytes > this.reader.dbiBytesLeft) return false
    if (this.dbi.entries.skip?.(member.firstKey, member.lastKey) !== true) return false
    this.reader.skipEntries(member.bytes)
    this.entriesRead += member.entries
    this.entriesSkipped += member.entries
    this.members.add(member)
    return true
  }

  /** Tells the pass that there are no more chunks. */
  finish(): void {
    this.endMember()
    this.reader.finish()
  }

  /**
   * Works until it needs another chunk, the deadline (of performance.now) has passed, or the snapshot has ended.
   * Returns a `State`.
   */
  advance(deadline: number): number {
    for (;;) {
      if (!this.finishStep(deadline)) return State.Paused
      switch (this.reader.next()) {
        case Event.NeedChunk:
          return State.NeedChunk
        case Event.DbiStart:
          break
        case Event.Batch:
          this.beginBatch()
          break
        case Event.DbiEnd:
          // A DBI message without entries has not been begun.
          this.dbi ??= this.beginDbi()
          this.step = Step.EndDbi
          break
        case Event.End:
          this.endSnapshot()
          return State.End
      }
      if (performance.now() >= deadline) return State.Paused
    }
  }

  /** Closes the cursors, whether or not the snapshot was read to its end. */
  close(): void {
    this.leftOutBefore += this.dbi?.entries.leftOut ?? 0
    this.dbi?.entries.close()
    this.dbi = undefined
  }

  /** Finishes the work that the last event of the reader requires. Returns false if the time is up before that. */
  private finishStep(deadline: number): boolean {
    if (this.step === Step.Read) return true
    const { entries } = this.dbi!
    const { batch } = this.reader
    const isBatch = this.step === Step.MergeBatch
    while (!(isBatch ? entries.run(batch, stepsPerLook) : entries.end(stepsPerLook)))
      if (performance.now() >= deadline) return false
    if (!isBatch) this.endDbi()
    this.step = Step.Read
    return true
  }

  private beginBatch(): void {
    const { batch } = this.reader
    this.dbi ??= this.beginDbi()
    this.dbi.layout?.checkBatch(batch)
    this.members.note(batch, this.section)
    this.entriesRead += batch.count
    this.step = Step.MergeBatch
  }

  private endMember(): void {
    this.members.end(this.reader.isBetweenEntries || this.reader.isAtTop, this.counts)
  }

  private get counts(): Counts {
    return {
      entries: this.entriesRead,
      otherFields: this.reader.otherFields,
      leftOut: this.leftOutBefore + (this.dbi?.entries.leftOut ?? 0)
    }
  }

  /** Returns the section of the DBI that is being read, or undefined if the DBI is not merged. */
  private readonly section = (): string | undefined =>
    this.dbi?.layout === undefined ? undefined : sectionOf(this.formatVersion!, this.dbi.head)

  private beginDbi(): CurrentDbi {
    const { known, phase } = this
    const { dbi, formatVersion } = this.reader
    const head = known?.heads[this.heads.length] ?? { name: dbi.name, flags: dbi.flags, transform: dbi.transform }
    this.formatVersion ??= known?.formatVersion ?? formatVersion
    // The snapshot is refused at its end, when the head is known for certain. Until then it may turn out to be corrupt.
    if (DbiName.isPrivate(head.name) || refusalOf(phase, head, this.formatVersion) !== undefined)
      return { head, layout: undefined, entries: new OrderOnly(orderOfHead(head)) }
    const keyLength = this.integerLengths.get(head.name) ?? this.localKeyLength(head.name)
    const layout = new KeyLayout(phase.mode.layout(head, phase.local(head.name)), keyLength, this.formatVersion)
    return { head, layout, entries: phase.beginDbi(head, this.formatVersion) }
  }

  private endDbi(): void {
    const { head, layout } = this.dbi!
    const { name, flags, transform } = this.reader.dbi
    if (head.name !== name || head.flags !== flags || head.transform !== transform) this.isDisproved = true
    this.heads.push({ name, flags, transform })
    if (layout !== undefined) this.integerLengths.set(head.name, layout.integerLength)
    this.close()
  }

  private localKeyLength(dbi: DbiName.DbiName): number {
    return this.phase.keyLength(this.phase.mode.headersOf(dbi)) || this.phase.keyLength(dbi)
  }

  private endSnapshot(): void {
    const { compatVersion, formatVersion } = this.reader
    checkAllowed(this.phase, { formatVersion, compatVersion, heads: this.heads, dbis: this.dbis })
    if (this.formatVersion !== undefined && this.formatVersion !== formatVersion) this.isDisproved = true
  }
}
