/**
 * Reads pages of an LMDB data file with `pread`, past LMDB, and checks that each is what it is expected to be.
 * Little-endian, data format 1 (LMDB 0.9); source: MDB_page, MDB_node and MDB_db in LMDB's mdb.c.
 *
 *     page      0 number u64 | 8 pad u16: size of the values of a LEAF2 page | 10 flags u16 | 12 lower u16
 *               14 upper u16 | 16 offsets of nodes, u16 each
 *     node      0 size of data u32 | 4 flags u16 | 6 size of key u16 | 8 key, then data
 *               of a branch page: 0 number of the child page, 48 bits
 *     overflow  16 bytes of header, then data over as many pages as it takes
 *
 * Guarantees: what is read lies within the page, whatever the page holds. A page that does not look like one is
 * `ChangesUnknown`, never a crash, and nothing is taken from it. Not guaranteed: that a page belongs to a tree; the
 * caller has a read transaction open that keeps its pages from being reused.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- pages are read as LMDB reads them: synchronously
import * as fs from "node:fs"
import { ChangesUnknown, LmdbError } from "../../../../services/Lmdb.ts"
import { fromSystem } from "../DataFile.ts"

export const headerBytes = 16
export const nodeBytes = 8

export const branchFlag = 0x01
export const leafFlag = 0x02
/** A leaf of values of one size, without nodes: MDB_DUPFIXED. */
export const leaf2Flag = 0x20
const overflowFlag = 0x04
/** The flags that determine the type of a page. P_DIRTY is omitted, because it has no meaning in a committed page. */
const kindFlags = 0x6f

/** A page in memory. The next page that is read replaces it. */
export class Page {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Number of nodes, or of values. */
  count = 0
  isLeaf2 = false
  /** Size of the values of a LEAF2 page. */
  valueSize = 0

  constructor(pageSize: number) {
    this.bytes = new Uint8Array(pageSize)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Returns the offset of node `index`, whose header is within the page. */
  nodeAt(index: number): number {
    return this.view.getUint16(headerBytes + 2 * index, true)
  }

  /** Returns the number of a child of a branch page. */
  childAt(index: number): number {
    const at = this.nodeAt(index)
    return (
      this.view.getUint16(at, true) +
      this.view.getUint16(at + 2, true) * 2 ** 16 +
      this.view.getUint16(at + 4, true) * 2 ** 32
    )
  }
}

export class PageFile {
  readonly pageSize: number
  readonly #path: string
  readonly #descriptor: number

  constructor(path: string, descriptor: number, pageSize: number) {
    this.#path = path
    this.#descriptor = descriptor
    this.pageSize = pageSize
  }

  unknown(detail: string): LmdbError {
    return new LmdbError({ path: this.#path, reason: new ChangesUnknown({ detail }) })
  }

  #fill(bytes: Uint8Array, number: number): void {
    const position = number * this.pageSize
    let length = 0
    try {
      if (Number.isSafeInteger(position)) length = fs.readSync(this.#descriptor, bytes, 0, bytes.length, position)
    } catch (error) {
      throw fromSystem(this.#path, error)
    }
    if (length < bytes.length) throw this.unknown(`page ${number} lies beyond the end of the file`)
  }

  /** Reads a page of a tree. */
  read(page: Page, number: number, isLeaf: boolean): void {
    this.#fill(page.bytes, number)
    const { view } = page
    const flags = view.getUint16(10, true) & kindFlags
    const isLeaf2 = flags === (leafFlag | leaf2Flag)
    const expected = isLeaf ? flags === leafFlag || isLeaf2 : flags === branchFlag
    if (view.getBigUint64(0, true) !== BigInt(number) || !expected) {
      throw this.unknown(`page ${number} is no ${isLeaf ? "leaf" : "branch"} page (flags 0x${flags.toString(16)})`)
    }
    page.isLeaf2 = isLeaf2
    page.valueSize = isLeaf2 ? view.getUint16(8, true) : 0
    page.count = isLeaf2 && page.valueSize === 0 ? -1 : countOf(view, 0, this.pageSize, page.valueSize)
    if (page.count < 0) throw this.unknown(`page ${number} has a damaged header or offset of a node`)
  }

  /**
   * Reads page `index` of the overflow pages that begin with page `number`; its data begins at the offset that is
   * returned.
   */
  readOverflow(page: Page, number: number, index: number): number {
    this.#fill(page.bytes, number + index)
    if (index > 0) return 0
    if (
      page.view.getBigUint64(0, true) !== BigInt(number) ||
      (page.view.getUint16(10, true) & kindFlags) !== overflowFlag
    ) {
      throw this.unknown(`page ${number} is no overflow page`)
    }
    return headerBytes
  }
}

/**
 * Returns the number of entries of the page or sub-page in `view[start..end)`, or -1 if its header or the offset of one
 * of its nodes cannot be right.
 */
export const countOf = (view: DataView, start: number, end: number, valueSize: number): number => {
  if (end - start < headerBytes) return -1
  const lower = view.getUint16(start + 12, true)
  const upper = view.getUint16(start + 14, true)
  const count = (lower - headerBytes) >> 1
  if (lower < headerBytes || (lower & 1) !== 0) return -1
  // LMDB counts values of a LEAF2 page with `lower` and `upper`, too, but values of one byte take `upper` beyond the
  // page.
  if (valueSize > 0) return headerBytes + count * valueSize <= end - start ? count : -1
  if (lower > upper || upper > end - start) return -1
  const last = end - start - nodeBytes
  for (let i = 0; i < count; i++) {
    const at = view.getUint16(start + headerBytes + 2 * i, true)
    if (at < upper || at > last) return -1
  }
  return count
}
