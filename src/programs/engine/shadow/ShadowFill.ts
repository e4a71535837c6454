/**
 * Fills a DBI, which the application has dropped and a snapshot recreates, with the live entries of its shadow. The
 * shadow must match the new DBI. Only the keys in the shadow show whether it belonged to a DBI with MDB_DUPSORT. If
 * they do not match, the snapshot is refused, because the two cannot be combined.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import * as DupsortKey from "../../../domain/lmdb/DupsortKey.ts"
import * as NativeHeader from "../../../domain/lmdb/NativeHeader.ts"
import * as ShadowName from "../../../domain/lmdb/ShadowName.ts"
import { SnapshotRefused } from "../../../domain/snapshot/SnapshotRules.ts"
import type { Cursor, WriteTransaction } from "../../../services/Lmdb.ts"
import type { SteppedWork } from "../Engine.ts"
import { notNative } from "../NotNative.ts"
import { RisingPairs } from "./RisingPairs.ts"

const refusal = (main: DbiName.DbiName, is: string, was: string) =>
  new SnapshotRefused({
    problem:
      `DBI "${DbiName.display(main)}": it comes back ${is}, but its shadow here is of a DBI ${was}: ` +
      "run drop-shadow, and start again"
  })

/** True if the entry of the shadow represents a pair. */
const isPair = ({ key, keyEnd, keyStart, value, valueEnd }: Cursor, application: number): boolean =>
  DupsortKey.isLayout(key, keyStart, keyEnd) &&
  DupsortKey.isOfValue(key, keyStart, keyEnd, value, application, valueEnd)

/** Puts all live entries of the shadow into `main`, which was created with `flags` in this transaction. */
export const fill = (transaction: WriteTransaction, main: DbiName.DbiName, flags: number): SteppedWork => {
  const shadow = ShadowName.of(main)
  const cursor = transaction.before.cursor(shadow)
  const dupsort = DbiFlags.isDupsort(flags)
  const rising = new RisingPairs(main)
  const isFixed = (flags & DbiFlags.DUPFIXED) !== 0
  let size = -1
  let puts = 0
  let pairs = 0
  return (steps) => {
    while (steps-- > 0) {
      if (!cursor.next()) {
        if (!dupsort && puts > 0 && pairs === puts) throw refusal(main, "without MDB_DUPSORT", "with it")
        return true
      }
      const { key, keyStart, value, valueEnd, valueStart } = cursor
      const application = NativeHeader.readHeader(value, valueStart, valueEnd)
      if (application < 0) throw notNative(shadow, cursor, application)
      // This applies to tombstones as well, because the next copy main → shadow reads all keys of the shadow.
      if (dupsort && !DupsortKey.isLayout(key, keyStart, cursor.keyEnd)) {
        throw refusal(main, "with MDB_DUPSORT", "without it")
      }
      if (NativeHeader.isDeleted(value, valueStart)) continue
      puts++
      if (isPair(cursor, application)) pairs++
      else if (dupsort) throw refusal(main, "with MDB_DUPSORT", "without it")
      if (isFixed && size >= 0 && valueEnd - application !== size)
        throw refusal(main, "with MDB_DUPFIXED", "with values of different sizes")
      size = valueEnd - application
      const keyEnd = dupsort ? DupsortKey.keyEnd(key, keyStart, cursor.keyEnd) : cursor.keyEnd
      if (dupsort) rising.add(key, keyStart, keyEnd, value, application, valueEnd)
      transaction.put(main, key, keyStart, keyEnd, value, application, valueEnd, !dupsort)
    }
    return false
  }
}
