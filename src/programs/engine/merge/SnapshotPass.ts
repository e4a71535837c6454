/**
 * Reads a snapshot once, from first to last byte, and hands the entries of each DBI to whoever merges them. It checks
 * what must be checked before anything may be written: structure, versions, the rules for each DBI.
 *
 * The name, flags and transform of a DBI, and the versions, may legally come after the entries that they are about. So
 * the first pass takes what it has seen by then, and if that turns out wrong at the end (`late`), what it did is worth
 * nothing and a second pass, that knows (`known`), is needed. Releases 0.2 and 0.3 write DBIs that way.
 */
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { KeyLayout } from "../../../domain/lmdb/KeyLayout.ts"
import { Event, SnapshotReader } from "../../../domain/snapshot/SnapshotReader.ts"
import { type DbiHead, SnapshotRefused, versionRefusal } from "../../../domain/snapshot/SnapshotRules.ts"
import type { Dbi, ReadTransaction } from "../../../services/Lmdb.ts"
import { stepsPerLook } from "../Engine.ts"
import { type KnownMember, sectionOf } from "./KnownMembers.ts"
import { type Counts, MembersRead } from "./MergedMembers.ts"
import { type MergeEntries, OrderOnly } from "./MergeEntries.ts"
import { type Mode, orderOfHead } from "./Mode.ts"
import { State } from "../WriteJob.ts"
import type { SnapshotKnowledge } from "./SnapshotKnowledge.ts"

/** Whoever merges: called for each DBI message that is to be merged. */
export interface Phase {
  readonly mode: Mode
  /** The LMDB as it is before anything is written. */
  readonly before: Pick<ReadTransaction, "dbis" | "plainKeys">
  /** The application's DBI, if it is there. */
  readonly local: (dbi: DbiName.DbiName) => Dbi | undefined
  /** Length of the first key of a DBI; 0 when it is not there, or has no entries. */
  readonly keyLength: (dbi: DbiName.DbiName) => number
  readonly beginDbi: (head: DbiHead, formatVersion: number) => MergeEntries
}

/** Of a DBI that is there; 0: it has no entries. */
export const firstKeyLength = (view: ReadTransaction, dbi: DbiName.DbiName): number => {
  const cursor = view.cursor(dbi)
  const length = cursor.next() ? cursor.keyEnd - cursor.keyStart : 0
  cursor.close()
  return length
}

export class SnapshotPass {
  readonly reader: SnapshotReader
  /** With those that were skipped. */
  entriesRead = 0
  entriesSkipped = 0
  late = false
  /** Valid at the end, unless `late`. */
  readonly members = new MembersRead()
  /** Of the DBIs before this one. */
  private leftOut = 0
  private readonly phase: Phase
  private readonly known: SnapshotKnowledge | undefined
  private readonly heads: Array<DbiHead> = []
  private readonly integerLengths = new Map<DbiName.DbiName, number>()
  private formatVersion: number | undefined
  private head: DbiHead | undefined
  private entries: MergeEntries | undefined
  private layout: KeyLayout | undefined
  private pending = false
  /** The DBI is being ended, without having had a batch. */
  private ending = false

  constructor(phase: Phase, known: SnapshotKnowledge | undefined) {
    this.phase = phase
    this.known = known
    this.reader = new SnapshotReader(phase.mode.room.mapSize)
  }

  /** Valid at the end. */
  get learned(): SnapshotKnowledge {
    return { formatVersion: this.reader.formatVersion, heads: this.heads }
  }

  /** Valid at the end: the DBIs that are merged, each once. */
  get dbis(): ReadonlyArray<DbiName.DbiName> {
    return Array.from(new Set(this.heads.map(({ name }) => name).filter((name) => !DbiName.isPrivate(name))))
  }

  /** The next chunk, when it needs one. */
  push(chunk: Uint8Array): void {
    this.endMember()
    this.reader.push(chunk)
  }

  /** The same: a whole member. */
  pushMember(digest: string, content: Uint8Array): void {
    this.endMember()
    if (this.reader.isBetweenEntries) this.members.begin(digest, content.length, this.counts)
    this.reader.push(content)
  }

  /**
   * The same: a member that brings nothing. False: it has to be pushed, since here its entries may mean something else.
   */
  skip(member: KnownMember): boolean {
    this.endMember()
    if (!this.reader.isBetweenEntries) return false
    this.entries ??= this.beginDbi()
    if (this.section() !== member.section || member.bytes > this.reader.dbiBytesLeft) return false
    if (this.entries.skip?.(member.firstKey, member.lastKey) !== true) return false
    this.reader.skipEntries(member.bytes)
    this.entriesRead += member.entries
    this.entriesSkipped += member.entries
    this.members.add(member)
    return true
  }

  /** There is no other chunk. */
  finish(): void {
    this.endMember()
    this.reader.finish()
  }

  private endMember(): void {
    this.members.end(this.reader.isBetweenEntries || this.reader.isAtTop, this.counts)
  }

  private get counts(): Counts {
    return {
      entries: this.entriesRead,
      otherFields: this.reader.otherFields,
      leftOut: this.leftOut + (this.entries?.leftOut ?? 0)
    }
  }

  /** Of the DBI that is being read; undefined when it is not merged. */
  private readonly section = (): string | undefined =>
    this.layout === undefined ? undefined : sectionOf(this.formatVersion!, this.head!)

  /** Works until it needs another chunk, the time (of performance.now) has come, or the snapshot has ended. */
  advance(deadline: number): number {
    for (;;) {
      if (this.pending) {
        while (!this.entries!.run(this.reader.batch, stepsPerLook)) {
          if (performance.now() >= deadline) return State.Paused
        }
        this.pending = false
      }
      if (this.ending) {
        while (!this.entries!.end(stepsPerLook)) {
          if (performance.now() >= deadline) return State.Paused
        }
        this.ending = false
        this.endDbi()
      }
      switch (this.reader.next()) {
        case Event.NeedChunk:
          return State.NeedChunk
        case Event.DbiStart:
          break
        case Event.Batch:
          this.entries ??= this.beginDbi()
          this.layout?.checkBatch(this.reader.batch)
          this.members.note(this.reader.batch, this.section)
          this.entriesRead += this.reader.batch.count
          this.pending = true
          break
        case Event.DbiEnd:
          this.entries ??= this.beginDbi()
          this.ending = true
          break
        case Event.End:
          this.endSnapshot()
          return State.End
      }
      if (performance.now() >= deadline) return State.Paused
    }
  }

  close(): void {
    this.leftOut += this.entries?.leftOut ?? 0
    this.entries?.close()
    this.entries = undefined
  }

  private beginDbi(): MergeEntries {
    const { dbi, formatVersion } = this.reader
    const head = this.known?.heads[this.heads.length] ?? { name: dbi.name, flags: dbi.flags, transform: dbi.transform }
    this.head = head
    this.formatVersion ??= this.known?.formatVersion ?? formatVersion
    this.layout = undefined
    const local = this.phase.local(head.name)
    // What is refused is refused at the end, when its head is known for certain; until then it may turn out to be
    // corrupt.
    if (DbiName.isPrivate(head.name) || this.refusal(head, this.formatVersion) !== undefined) {
      return new OrderOnly(orderOfHead(head))
    }
    this.layout = new KeyLayout(
      this.phase.mode.layout(head, local),
      this.integerLengths.get(head.name) ?? this.localKeyLength(head.name),
      this.formatVersion
    )
    return this.phase.beginDbi(head, this.formatVersion)
  }

  private endDbi(): void {
    const { name, flags, transform } = this.reader.dbi
    const head = this.head!
    if (head.name !== name || head.flags !== flags || head.transform !== transform) this.late = true
    this.heads.push({ name, flags, transform })
    if (this.layout !== undefined) this.integerLengths.set(head.name, this.layout.integerLength)
    this.close()
  }

  private localKeyLength(dbi: DbiName.DbiName): number {
    return this.phase.keyLength(this.phase.mode.headersOf(dbi)) || this.phase.keyLength(dbi)
  }

  private refusal(head: DbiHead, formatVersion: number): string | undefined {
    const { before, mode } = this.phase
    if (DbiName.isPrivate(head.name)) return undefined
    const plainKey = before.plainKeys.find((name) => name === head.name || name === mode.headersOf(head.name))
    if (plainKey !== undefined) {
      return `the root of the LMDB has a plain key "${DbiName.display(plainKey)}", so no DBI of that name can be created: remove the key`
    }
    return mode.refusal(head, formatVersion, this.phase.local(head.name), this.phase.local(mode.headersOf(head.name)))
  }

  private endSnapshot(): void {
    const { compatVersion, formatVersion } = this.reader
    const version = versionRefusal(formatVersion, compatVersion)
    if (version !== undefined) throw new SnapshotRefused({ problem: version })
    if (this.formatVersion !== undefined && this.formatVersion !== formatVersion) this.late = true
    for (const head of this.heads) {
      const problem = this.refusal(head, formatVersion)
      if (problem !== undefined) this.refuse(head, problem)
    }
    this.refuseRepeated()
    this.refuseTooMany()
  }

  /** LMDB would say so in the middle of the write transaction. */
  private refuseTooMany(): void {
    const { before, mode } = this.phase
    const names = new Set(before.dbis.map(({ name }) => name))
    const there = names.size
    for (const name of this.dbis) names.add(name).add(mode.headersOf(name))
    if (names.size === there || names.size <= mode.room.maxDbs) return
    const more = mode.shadow === undefined ? "" : ", shadows included"
    const problem = `with its DBIs there would be ${names.size}${more}, more than options.max_dbs, ${mode.room.maxDbs}: raise options.max_dbs, and restart`
    throw new SnapshotRefused({ problem })
  }

  /** The pairs of one message are not held against those of another one: see PairOrderCheck. */
  private refuseRepeated(): void {
    const heads = new Map<DbiName.DbiName, DbiHead>()
    for (const head of this.heads) {
      const before = heads.get(head.name)
      heads.set(head.name, head)
      if (before === undefined || DbiName.isPrivate(head.name)) continue
      if (before.flags !== head.flags || before.transform !== head.transform)
        this.refuse(head, "it comes twice, with different flags")
      if (this.phase.mode.isPairs(head, this.phase.local(head.name)))
        this.refuse(head, "it is a MDB_DUPSORT DBI that comes twice, which no version of Lightning Stream writes")
    }
  }

  private refuse(head: DbiHead, problem: string): never {
    throw new SnapshotRefused({ problem: `DBI "${DbiName.display(head.name)}": ${problem}` })
  }
}
