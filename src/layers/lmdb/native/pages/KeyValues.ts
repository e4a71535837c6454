/**
 * Compares the values of one key in two states. LMDB stores the values of a key of a MDB_DUPSORT DBI in one of three
 * ways: a single value like any other; several in a sub-page, which is the node's data; many in a tree of their own,
 * whose record is the node's data. The same values can be stored in two ways, because a tree does not become a sub-page
 * again.
 */
import { compareBytes } from "../../../../domain/bytes/ByteOrder.ts"
import { duplicatesFlag, LeafEntries, subTreeFlag } from "./LeafEntries.ts"
import { countOf, headerBytes, leaf2Flag, leafFlag, nodeBytes, Page, type PageFile } from "./PageFile.ts"
import { emptyTree, type PageTree, TreeDifference, treeOf } from "./PageTree.ts"

/** Size of a record (MDB_db). */
const recordBytes = 48
const subPageFlag = 0x40
/** P_DIRTY, which is set in each sub-page and has no meaning there. */
const ignoredFlag = 0x10

/** Walks values in their order, in place. Values are the keys of their tree, hence `bytes[keyStart..keyEnd)`. */
interface Values {
  readonly bytes: Uint8Array
  readonly keyStart: number
  readonly keyEnd: number
  readonly next: () => boolean
}

class SingleValue implements Values {
  readonly bytes: Uint8Array
  readonly keyStart: number
  readonly keyEnd: number
  #left = 1

  constructor({ bytes, dataEnd, keyEnd }: LeafEntries) {
    this.bytes = bytes
    this.keyStart = keyEnd
    this.keyEnd = dataEnd
  }

  next(): boolean {
    return this.#left-- > 0
  }
}

/** Walks a page that is within the data of a node. */
class SubPageValues implements Values {
  readonly bytes: Uint8Array
  readonly count: number
  keyStart = 0
  keyEnd = 0
  readonly #view: DataView
  readonly #start: number
  readonly #end: number
  /** Size of each value, or 0 if the values are nodes. */
  readonly #valueSize: number
  readonly #file: PageFile
  #index = 0

  constructor(file: PageFile, { bytes, dataEnd, keyEnd, view }: LeafEntries) {
    this.#file = file
    this.bytes = bytes
    this.#view = view
    this.#start = keyEnd
    this.#end = dataEnd
    if (dataEnd - keyEnd < headerBytes) throw file.unknown("a sub-page is shorter than its header")
    const flags = view.getUint16(keyEnd + 10, true) & ~ignoredFlag
    const isLeaf2 = flags === (leafFlag | subPageFlag | leaf2Flag)
    this.#valueSize = isLeaf2 ? view.getUint16(keyEnd + 8, true) : 0
    this.count = countOf(view, keyEnd, dataEnd, this.#valueSize)
    if ((!isLeaf2 && flags !== (leafFlag | subPageFlag)) || (isLeaf2 && this.#valueSize === 0) || this.count < 0) {
      throw file.unknown("a sub-page is damaged")
    }
  }

  next(): boolean {
    if (this.#index >= this.count) return false
    const index = this.#index++
    if (this.#valueSize > 0) {
      this.keyStart = this.#start + headerBytes + index * this.#valueSize
      this.keyEnd = this.keyStart + this.#valueSize
      return true
    }
    const at = this.#start + this.#view.getUint16(this.#start + headerBytes + 2 * index, true)
    this.keyStart = at + nodeBytes
    this.keyEnd = this.keyStart + this.#view.getUint16(at + 6, true)
    if (this.keyEnd > this.#end) throw this.#file.unknown("a sub-page has a damaged value")
    return true
  }
}

const isTree = ({ flags }: LeafEntries): boolean => (flags & subTreeFlag) !== 0

/** Returns the number of values of an entry. Throws if they are in a tree whose record is damaged. */
const countOfValues = (file: PageFile, entry: LeafEntries): number => {
  if ((entry.flags & duplicatesFlag) === 0) return 1
  if (!isTree(entry)) return new SubPageValues(file, entry).count
  if (entry.size !== recordBytes) throw file.unknown("the record of a tree of values is damaged")
  return Number(entry.view.getBigUint64(entry.keyEnd + 32, true))
}

/** Returns the tree of the values of an entry whose values were counted. */
const treeOfEntry = (entry: LeafEntries): PageTree => (isTree(entry) ? treeOf(entry.view, entry.keyEnd) : emptyTree)

/** Returns a walk over the values of an entry. `leaves` are those of its tree, if it has one. */
const valuesOf = (file: PageFile, entry: LeafEntries, leaves: ReadonlyArray<number>): Values => {
  if ((entry.flags & duplicatesFlag) === 0) return new SingleValue(entry)
  return isTree(entry) ? new LeafEntries(file, leaves) : new SubPageValues(file, entry)
}

/** Compares two entries with the same key, at least one of which has several values. */
export const haveSameValues = (file: PageFile, before: LeafEntries, after: LeafEntries): boolean => {
  const isStoredAlike =
    before.flags === after.flags &&
    compareBytes(before.bytes, before.keyEnd, before.dataEnd, after.bytes, after.keyEnd, after.dataEnd) === 0
  // Trees with the same root are the same tree.
  if (isStoredAlike) return true
  if (countOfValues(file, before) !== countOfValues(file, after)) return false
  // If both are trees, the values in their common leaves are equal, and the others are in the same order in both.
  const difference = new TreeDifference(file, new Page(file.pageSize), treeOfEntry(before), treeOfEntry(after))
  difference.run(Infinity)
  const left = valuesOf(file, before, difference.before)
  const right = valuesOf(file, after, difference.after)
  for (;;) {
    const hasLeft = left.next()
    if (hasLeft !== right.next()) return false
    if (!hasLeft) return true
    if (compareBytes(left.bytes, left.keyStart, left.keyEnd, right.bytes, right.keyStart, right.keyEnd) !== 0)
      return false
  }
}
