/** Walks the entries of leaf pages in place, page after page. This is a hot path, so a step allocates nothing. */
import { headerBytes, nodeBytes, Page, type PageFile } from "./PageFile.ts"

/** Flag of a node whose data is the number of the first overflow page. */
export const bigDataFlag = 0x01
/** Flag of a node whose data is the record of a tree of values (with `duplicatesFlag`), or of a DBI. */
export const subTreeFlag = 0x02
/** Flag of a node whose key has several values, in a sub-page or in a tree of their own. */
export const duplicatesFlag = 0x04

/**
 * The current entry: key `bytes[keyStart..keyEnd)`, data `bytes[keyEnd..dataEnd)` within the page. Before the first
 * `next` there is none.
 */
export class LeafEntries {
  readonly bytes: Uint8Array
  readonly view: DataView
  keyStart = 0
  keyEnd = 0
  /** End of the data in the page. For a value in overflow pages, that is the end of their number. */
  dataEnd = 0
  /** Size of the value, wherever it is stored. */
  size = 0
  flags = 0
  readonly #file: PageFile
  readonly #page: Page
  readonly #leaves: ReadonlyArray<number>
  #leaf = 0
  #index = 0

  constructor(file: PageFile, leaves: ReadonlyArray<number>) {
    this.#file = file
    this.#page = new Page(file.pageSize)
    this.bytes = this.#page.bytes
    this.view = this.#page.view
    this.#leaves = leaves
  }

  /** Number of leaves, and how many of them have been read. */
  get leaves(): number {
    return this.#leaves.length
  }

  get leavesRead(): number {
    return this.#leaf
  }

  next(): boolean {
    const page = this.#page
    while (this.#index >= page.count) {
      if (this.#leaf >= this.#leaves.length) return false
      this.#file.read(page, this.#leaves[this.#leaf++]!, true)
      this.#index = 0
    }
    if (page.isLeaf2) {
      this.keyStart = headerBytes + this.#index++ * page.valueSize
      this.keyEnd = this.dataEnd = this.keyStart + page.valueSize
      return true
    }
    const { view } = page
    const at = page.nodeAt(this.#index++)
    this.size = view.getUint32(at, true)
    this.flags = view.getUint16(at + 4, true)
    this.keyStart = at + nodeBytes
    this.keyEnd = this.keyStart + view.getUint16(at + 6, true)
    this.dataEnd = this.keyEnd + ((this.flags & bigDataFlag) === 0 ? this.size : 8)
    // A value in overflow pages is never one of several.
    const isOdd =
      this.flags > (subTreeFlag | duplicatesFlag) || ((this.flags & bigDataFlag) !== 0 && this.flags !== bigDataFlag)
    if (isOdd || this.dataEnd > this.bytes.length)
      throw this.#file.unknown(`page ${this.#leaves[this.#leaf - 1]} has a damaged entry`)
    return true
  }

  /** Number of the first overflow page of the current value. */
  get overflowPage(): number {
    return this.view.getUint32(this.keyEnd, true) + this.view.getUint32(this.keyEnd + 4, true) * 2 ** 32
  }
}
