/** Compares two views by the pages of another file than that of the environment: a damaged copy. */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the file is what is tested
import * as fs from "node:fs"
import { NativeChanges } from "../../../../../src/layers/lmdb/native/pages/NativeChanges.ts"
import { PageFile } from "../../../../../src/layers/lmdb/native/pages/PageFile.ts"
import type { NativeRead } from "../../../../../src/layers/lmdb/native/NativeRead.ts"
import { type ChangeSink, LmdbError, type ReadTransaction } from "../../../../../src/services/Lmdb.ts"

/** Page size of the files that are damaged, in bytes. */
export const pageSize = 4_096

/** Passes the changes to a sink. Returns why they are not known, or undefined if they are. */
export const changesInFile = (
  file: string,
  before: ReadTransaction,
  after: ReadTransaction,
  sink: ChangeSink
): string | undefined => {
  const descriptor = fs.openSync(file, "r")
  try {
    const pages = new PageFile(file, descriptor, pageSize)
    new NativeChanges(pages, before as NativeRead, after as NativeRead, sink).run(Infinity)
    return undefined
  } catch (error) {
    if (error instanceof LmdbError && error.reason._tag === "ChangesUnknown") return error.message
    throw error
  } finally {
    fs.closeSync(descriptor)
  }
}
