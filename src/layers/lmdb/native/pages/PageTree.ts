/**
 * Finds the leaves that only one of two states of a tree has, without reading what they share.
 *
 * LMDB is copy-on-write: while a read transaction of the older state is open, a page that both states contain has the
 * same content in both, and so has all that is below it. All leaves have the same depth, so both trees are descended
 * level by level, aligned at the leaves, and at each level the pages that are in both are left out. Trees of different
 * depths (one has grown or shrunk) are aligned first.
 */
import { type Page, type PageFile } from "./PageFile.ts"

/** The tree of a DBI, or of the values of one key, as its record describes it. */
export interface PageTree {
  /** Page number, or -1 if there are no entries. */
  readonly root: number
  /** Number of levels, the leaves included. */
  readonly depth: number
  /** Number of branch and leaf pages. */
  readonly pages: number
}

export const emptyTree: PageTree = { root: -1, depth: 0, pages: 0 }

/** LMDB's CURSOR_STACK. */
const depthMax = 32

/**
 * Reads a record of 48 bytes (MDB_db): flags u16 at 4, depth u16, branch, leaf and overflow pages u64 at 8, 16 and 24,
 * entries u64, root u64 at 40.
 */
export const treeOf = (view: DataView, at: number): PageTree => {
  const root = view.getBigUint64(at + 40, true)
  if (root === 0xffff_ffff_ffff_ffffn) return emptyTree
  return {
    root: Number(root),
    depth: view.getUint16(at + 6, true),
    pages: Number(view.getBigUint64(at + 8, true) + view.getBigUint64(at + 16, true))
  }
}

/** The pages of one tree at one height. */
class Level {
  /** Page numbers in the order of the pages' keys. */
  pages: Array<number>
  /** Height of the pages: 1 for leaves, 0 if there are no pages. */
  height: number
  readonly #file: PageFile
  readonly #pagesMax: number
  #below: Array<number> = []
  #next = 0
  #read = 0

  constructor(file: PageFile, { depth, pages, root }: PageTree) {
    if (root >= 0 && (depth === 0 || depth > depthMax)) throw file.unknown(`a tree has depth ${depth}`)
    this.#file = file
    this.#pagesMax = pages
    this.pages = root < 0 ? [] : [root]
    this.height = root < 0 ? 0 : depth
  }

  /** Replaces the pages by their children. Returns false if the time is up before that. */
  descend(page: Page, deadline: number): boolean {
    while (this.#next < this.pages.length) {
      this.#file.read(page, this.pages[this.#next++]!, false)
      for (let i = 0; i < page.count; i++) this.#below.push(page.childAt(i))
      // A damaged branch page could name the same children again and again.
      this.#read += page.count
      if (this.#read > this.#pagesMax) throw this.#file.unknown(`a tree has more than its ${this.#pagesMax} pages`)
      if (performance.now() >= deadline) break
    }
    if (this.#next < this.pages.length) return false
    this.pages = this.#below
    this.#below = []
    this.#next = 0
    this.height--
    return true
  }
}

/** Returns the numbers that both lists contain, in ascending order. */
const commonOf = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): Float64Array => {
  const left = Float64Array.from(a).sort()
  const right = Float64Array.from(b).sort()
  let count = 0
  for (let i = 0, j = 0; i < left.length && j < right.length;) {
    if (left[i]! < right[j]!) i++
    else if (left[i]! > right[j]!) j++
    else {
      left[count++] = left[i++]!
      j++
    }
  }
  return left.subarray(0, count)
}

const includes = (sorted: Float64Array, number: number): boolean => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < number) low = middle + 1
    else high = middle
  }
  return low < sorted.length && sorted[low] === number
}

export class TreeDifference {
  readonly #before: Level
  readonly #after: Level
  readonly #page: Page

  /** `page` is overwritten by each page that is read. */
  constructor(file: PageFile, page: Page, before: PageTree, after: PageTree) {
    this.#before = new Level(file, before)
    this.#after = new Level(file, after)
    this.#page = page
  }

  /** Returns false if the time is up before it is done. */
  run(deadline: number): boolean {
    const before = this.#before
    const after = this.#after
    for (;;) {
      if (before.height === after.height) this.#leaveOutCommon()
      const height = Math.max(before.height, after.height)
      if (height <= 1) return true
      if (before.height === height && !before.descend(this.#page, deadline)) return false
      if (after.height === height && !after.descend(this.#page, deadline)) return false
    }
  }

  #leaveOutCommon(): void {
    const common = commonOf(this.#before.pages, this.#after.pages)
    if (common.length === 0) return
    this.#before.pages = this.#before.pages.filter((number) => !includes(common, number))
    this.#after.pages = this.#after.pages.filter((number) => !includes(common, number))
  }

  /** Leaves that only the older state has, in the order of their keys. */
  get before(): ReadonlyArray<number> {
    return this.#before.pages
  }

  /** Leaves that only the newer state has, in the order of their keys. */
  get after(): ReadonlyArray<number> {
    return this.#after.pages
  }
}
