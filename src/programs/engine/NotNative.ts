/** The error of a local value without a native header. It names the DBI and the key. */
import * as DbiName from "../../domain/lmdb/DbiName.ts"
import { problemOf } from "../../domain/lmdb/NativeHeader.ts"
import { NotNative } from "../../services/Database.ts"
import type { Cursor } from "../../services/Lmdb.ts"
import { hexOf } from "../../domain/bytes/Hex.ts"

/** Returns the error. `code` is the negative result of `NativeHeader.readHeader`. */
export const notNative = (
  dbi: DbiName.DbiName,
  at: Pick<Cursor, "key" | "keyStart" | "keyEnd">,
  code: number
): NotNative =>
  new NotNative({
    dbi: DbiName.display(dbi),
    key: hexOf(at.key, at.keyStart, at.keyEnd),
    problem: problemOf(code)
  })
