/**
 * The root DBI, which holds a record for each DBI under its name, as a transaction sees it. The package hides the flags
 * of DBIs, and a handle may belong to a DBI that was dropped, so each transaction reads the root first.
 *
 * A record has 48 bytes, little-endian: the size of the values of a DUPFIXED DBI as u32 at 0, flags u16 at 4 (0x8000 is
 * internal to LMDB), depth u16 at 6, pages u64 at 8, 16 and 24 (branch, leaf, overflow), entries u64 at 32, and the
 * root page u64 at 40. Source: MDB_db in LMDB's mdb.c.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { Dbi } from "../../../services/Lmdb.ts"
import { InPlaceCursor } from "./NativeCursor.ts"
import { learnBuffers } from "./buffers/SharedBuffers.ts"
import { type PageTree, treeOf } from "./pages/PageTree.ts"
import type { PackageRoot, PackageTransaction } from "./NativePackage.ts"

const recordBytes = 48
const knownFlags = DbiFlags.persistent | 0x8000
/** LMDB's CURSOR_STACK. */
const maxDepth = 32

export interface RootRecord extends Dbi {
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  /** Location of its pages. */
  readonly tree: PageTree
}

export interface RootListing {
  /** Records in byte order of the names. */
  readonly records: ReadonlyArray<RootRecord>
  /** Names of entries that are not DBIs. */
  readonly others: ReadonlyArray<DbiName.DbiName>
}

const recordOf = (name: DbiName.DbiName, view: DataView): RootRecord => ({
  name,
  flags: view.getUint16(4, true) & DbiFlags.persistent,
  entries: Number(view.getBigUint64(32, true)),
  depth: view.getUint16(6, true),
  branchPages: Number(view.getBigUint64(8, true)),
  leafPages: Number(view.getBigUint64(16, true)),
  overflowPages: Number(view.getBigUint64(24, true)),
  tree: treeOf(view, 0)
})

/** True when the entry can be a record. A DBI that LMDB's C functions made has no zero byte in its name. */
const isRecord = (name: DbiName.DbiName, view: DataView): boolean =>
  view.byteLength === recordBytes &&
  !name.includes("\0") &&
  (view.getUint16(4, true) & ~knownFlags) === 0 &&
  view.getUint16(6, true) <= maxDepth

/** Lists the root. Without `transaction`, as the open write transaction sees it. */
export const list = (
  root: PackageRoot,
  transaction: PackageTransaction | undefined,
  toError: (error: unknown) => unknown
): RootListing => {
  const records: Array<RootRecord> = []
  const others: Array<DbiName.DbiName> = []
  learnBuffers(root, transaction)
  const cursor = new InPlaceCursor(
    { name: undefined, flags: 0, dbi: root, closed: false },
    transaction,
    undefined,
    { toError, requireSame: () => {} },
    () => {}
  )
  try {
    while (cursor.next()) {
      const name = DbiName.fromBytes(cursor.key.subarray(cursor.keyStart, cursor.keyEnd))
      const { value, valueStart, valueEnd } = cursor
      const view = new DataView(value.buffer, value.byteOffset + valueStart, valueEnd - valueStart)
      if (isRecord(name, view)) records.push(recordOf(name, view))
      else others.push(name)
    }
  } finally {
    cursor.close()
  }
  records.sort((a, b) => (a.name < b.name ? -1 : 1))
  return { records, others }
}
