/**
 * Finds the differences between two read transactions by comparing pages (see PageTree) and then the entries of the
 * leaves that differ. The cost depends on what has changed, not on the size of the environment.
 *
 * The entries of the older and the newer leaves are merged in key order. An application that keeps a DBI in an order of
 * its own (mdb_set_compare) gets keys reported that have not changed, but none is missed: an entry is passed over only
 * when it is equal to one with the same key.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- pages are read as LMDB reads them: synchronously
import * as fs from "node:fs"
import { compareBytes, Sides } from "../../../../domain/bytes/ByteOrder.ts"
import { compareKeys, type KeyOrder, orderOf } from "../../../../domain/lmdb/KeyOrder.ts"
import { type ChangeSink, type ChangeWalk, LmdbError, Replaced } from "../../../../services/Lmdb.ts"
import type { Environment } from "../NativeEnvironment.ts"
import { failed } from "../NativeErrors.ts"
import { fromSystem } from "../DataFile.ts"
import type { NativeRead } from "../NativeRead.ts"
import type { RootRecord } from "../RootDbi.ts"
import { haveSameValues } from "./KeyValues.ts"
import { haveSameLargeValue } from "./LargeValues.ts"
import { bigDataFlag, duplicatesFlag, LeafEntries } from "./LeafEntries.ts"
import { Page, PageFile } from "./PageFile.ts"
import { emptyTree, TreeDifference } from "./PageTree.ts"

/** Number of entries between two looks at the clock, and between two reports of the share. */
const stepsPerLook = 256

/** Compares the entries of one DBI. */
class EntryChanges {
  readonly #file: PageFile
  readonly #order: KeyOrder
  /** False if the DBI was recreated with other flags, so that the same bytes have another meaning. */
  readonly #isSameKind: boolean
  readonly #before: LeafEntries
  readonly #after: LeafEntries
  readonly #keys = new Sides()
  readonly #values = new Sides()
  #hasBefore: boolean
  #hasAfter: boolean

  constructor(file: PageFile, flags: number, isSameKind: boolean, difference: TreeDifference) {
    this.#file = file
    this.#order = orderOf(flags)
    this.#isSameKind = isSameKind
    this.#before = new LeafEntries(file, difference.before)
    this.#after = new LeafEntries(file, difference.after)
    this.#hasBefore = this.#before.next()
    this.#hasAfter = this.#after.next()
  }

  /** Returns true when it is done, or when the sink skips the rest. */
  run(sink: ChangeSink, deadline: number): boolean {
    const before = this.#before
    const after = this.#after
    for (let steps = 1; ; steps++) {
      if (!this.#hasBefore && !this.#hasAfter) return true
      if (steps % stepsPerLook === 0) {
        if (sink.compared?.(this.#share) === false) return true
        if (performance.now() >= deadline) return false
      }
      const order = this.#compare(before, after)
      const differs = order !== 0 || !this.#isSame(before, after)
      const changed = order < 0 ? before : after
      if (differs && !sink.key(changed.bytes, changed.keyStart, changed.keyEnd, order >= 0)) return true
      if (order <= 0) this.#hasBefore = before.next()
      if (order >= 0) this.#hasAfter = after.next()
    }
  }

  /** Share of the leaves that have been compared. A leaf that is being compared does not count. */
  get #share(): number {
    const read = this.#before.leavesRead + this.#after.leavesRead
    return Math.max(0, read - 2) / (this.#before.leaves + this.#after.leaves)
  }

  #compare(before: LeafEntries, after: LeafEntries): number {
    if (!this.#hasBefore) return 1
    if (!this.#hasAfter) return -1
    return compareKeys(
      this.#order,
      before.bytes,
      before.keyStart,
      before.keyEnd,
      after.bytes,
      after.keyStart,
      after.keyEnd,
      this.#keys
    )
  }

  #isSame(before: LeafEntries, after: LeafEntries): boolean {
    if (!this.#isSameKind) return false
    if (((before.flags | after.flags) & duplicatesFlag) !== 0) return haveSameValues(this.#file, before, after)
    if (before.size !== after.size) return false
    if (((before.flags | after.flags) & bigDataFlag) !== 0) return haveSameLargeValue(this.#file, before, after)
    return (
      compareBytes(
        before.bytes,
        before.keyEnd,
        before.dataEnd,
        after.bytes,
        after.keyEnd,
        after.dataEnd,
        this.#values
      ) === 0
    )
  }
}

/** A DBI of the newer view, with its record in the older view if it existed there. */
interface Pair {
  readonly before: RootRecord | undefined
  readonly after: RootRecord
}

export class NativeChanges implements ChangeWalk {
  readonly #file: PageFile
  readonly #page: Page
  readonly #sink: ChangeSink
  readonly #pairs: ReadonlyArray<Pair>
  readonly #requireOpen: () => void
  #next = 0
  #difference: TreeDifference | undefined
  #entries: EntryChanges | undefined
  #isDone = false

  constructor(file: PageFile, before: NativeRead, after: NativeRead, sink: ChangeSink) {
    this.#file = file
    this.#page = new Page(file.pageSize)
    this.#sink = sink
    const earlier = new Map(before.records.map((record) => [record.name, record]))
    this.#pairs = after.records.map((record) => ({ before: earlier.get(record.name), after: record }))
    this.#requireOpen = () => {
      before.requireOpen()
      after.requireOpen()
    }
  }

  run(deadline: number): boolean {
    this.#requireOpen()
    while (!this.#isDone) {
      const pair = this.#pairs[this.#next]
      if (pair === undefined) break
      if (!this.#runPair(pair, deadline)) return false
      this.#next++
      this.#difference = this.#entries = undefined
    }
    this.#isDone = true
    return true
  }

  /** Returns true when it is done. */
  #runPair({ after, before }: Pair, deadline: number): boolean {
    const isSameKind = before === undefined || before.flags === after.flags
    if (this.#difference === undefined) {
      const isSame = isSameKind && before?.tree.root === after.tree.root
      if (isSame || !this.#sink.dbi({ name: after.name, flags: after.flags, entries: after.entries })) return true
    }
    this.#difference ??= new TreeDifference(this.#file, this.#page, before?.tree ?? emptyTree, after.tree)
    if (this.#entries === undefined) {
      if (!this.#difference.run(deadline)) return false
      this.#entries = new EntryChanges(this.#file, after.flags, isSameKind, this.#difference)
    }
    return this.#entries.run(this.#sink, deadline)
  }
}

/** Opens the data file until `close` is called. Throws if it is not the file that the environment has open. */
export const openPages = ({
  facts,
  identity,
  path
}: Environment): { readonly file: PageFile; readonly close: () => void } => {
  try {
    const descriptor = fs.openSync(path, "r")
    const close = () => fs.closeSync(descriptor)
    const { dev, ino } = fs.fstatSync(descriptor, { bigint: true })
    if (`${dev}:${ino}` === identity) return { file: new PageFile(path, descriptor, facts.pageSize), close }
    close()
  } catch (error) {
    throw fromSystem(path, error)
  }
  throw new LmdbError({ path, reason: new Replaced({}) })
}

/** Both views must belong to this environment and be open, the older one since before the newer one began. */
export const changesOf = (
  { path }: Environment,
  file: PageFile,
  before: NativeRead,
  after: NativeRead,
  sink: ChangeSink
): NativeChanges => {
  before.requireOpen()
  after.requireOpen()
  if (before.id > after.id)
    throw failed(path, "MDB_BAD_TXN", `the older view is of transaction ${before.id}, the newer one of ${after.id}`)
  return new NativeChanges(file, before, after, sink)
}
