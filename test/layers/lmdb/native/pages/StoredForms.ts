/**
 * Determines how LMDB stores the values of each key, by a walk over the pages of a DBI that shares no code with what is
 * tested. A read transaction must keep the pages from being reused. Source: MDB_page, MDB_node and MDB_db in LMDB's
 * mdb.c.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the file is what is tested
import * as fs from "node:fs"
import * as DbiFlags from "../../../../../src/domain/lmdb/DbiFlags.ts"
import type { RootRecord } from "../../../../../src/layers/lmdb/native/RootDbi.ts"

export const forms = [
  "in its node",
  "in overflow pages",
  "in a sub-page",
  "in a sub-page of values of one size",
  "in a sub-database",
  "in a sub-database of values of one size"
] as const
export type Form = (typeof forms)[number]

const headerBytes = 16
const nodeBytes = 8
const branchFlag = 0x01
const leaf2Flag = 0x20

const formOf = (page: Buffer, node: number, data: number): Form => {
  switch (page.readUInt16LE(node + 4)) {
    case 0:
      return "in its node"
    case 0x01:
      return "in overflow pages"
    case 0x04:
      return (page.readUInt16LE(data + 10) & leaf2Flag) === 0 ? "in a sub-page" : "in a sub-page of values of one size"
    case 0x06:
      return (page.readUInt16LE(data + 4) & DbiFlags.DUPFIXED) === 0
        ? "in a sub-database"
        : "in a sub-database of values of one size"
    default:
      throw new Error(`a node has flags ${page.readUInt16LE(node + 4)}`)
  }
}

/** Returns the form of each key of a DBI. */
export const formsOf = (descriptor: number, pageSize: number, { tree }: RootRecord): ReadonlyMap<string, Form> => {
  const found = new Map<string, Form>()
  const visit = (number: number): void => {
    const page = Buffer.alloc(pageSize)
    fs.readSync(descriptor, page, 0, pageSize, number * pageSize)
    const isBranch = (page.readUInt16LE(10) & branchFlag) !== 0
    for (let at = headerBytes; at < page.readUInt16LE(12); at += 2) {
      const node = page.readUInt16LE(at)
      if (isBranch) {
        visit(page.readUIntLE(node, 6))
      } else {
        const data = node + nodeBytes + page.readUInt16LE(node + 6)
        found.set(page.toString("latin1", node + nodeBytes, data), formOf(page, node, data))
      }
    }
  }
  if (tree.root >= 0) visit(tree.root)
  return found
}
