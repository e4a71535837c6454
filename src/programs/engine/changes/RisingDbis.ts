/**
 * Transfers the knowledge that the keys of a DBI ascend (`WalkedDbis`) from one view to a newer one, without walking
 * the DBI. Existing keys keep their order, so only new keys must be checked: each must be found where LMDB looks for
 * it, and the key after it must be greater.
 *
 * A DBI for which this does not hold, or with too many new keys, is dropped from the set. The next merge then walks it
 * and reports what is wrong.
 */
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { KeySet } from "../../../domain/lmdb/KeySet.ts"
import * as KeyOrder from "../../../domain/lmdb/KeyOrder.ts"
import { compareBytes } from "../../../domain/bytes/ByteOrder.ts"
import { type ChangeSink, type Cursor, type Dbi, LmdbError, type ReadTransaction } from "../../../services/Lmdb.ts"
import { exceeds } from "./Forecast.ts"

/** Maximum number of new keys of a DBI between two polls. With more keys, walking the DBI is as cheap. */
const newKeysMax = 4_096

/** Number of new keys from which their number at the end is predicted. To drop a DBI in vain costs a walk over it. */
const predictedFrom = newKeysMax / 4

export class RisingDbis {
  /** New keys by the name of the DBI. */
  private readonly added = new Map<DbiName.DbiName, KeySet>()
  private readonly earlier: ReadonlyMap<DbiName.DbiName, Dbi>

  /** Creates a sink. `names` are the DBIs whose keys are known to ascend in `before`, or in a view since then. */
  constructor(names: ReadonlySet<DbiName.DbiName>, before: ReadTransaction) {
    for (const name of names) this.added.set(name, new KeySet())
    this.earlier = new Map(before.dbis.map((dbi) => [dbi.name, dbi]))
  }

  get sink(): ChangeSink {
    let name: DbiName.DbiName | undefined
    return {
      dbi: (dbi) => {
        if (this.earlier.get(dbi.name)?.flags !== dbi.flags) this.added.delete(dbi.name)
        name = this.added.has(dbi.name) ? dbi.name : undefined
        return name !== undefined
      },
      key: (key, start, end, isPresent) => {
        const keys = this.added.get(name!)
        if (keys === undefined) return false
        if (isPresent) keys.add(key, start, end)
        return this.keepUnless(keys.count > newKeysMax, name!)
      },
      compared: (share) => {
        const count = this.added.get(name!)?.count ?? 0
        return this.keepUnless(count >= predictedFrom && exceeds(newKeysMax, 0, count, share), name!)
      }
    }
  }

  private keepUnless(isTooMany: boolean, name: DbiName.DbiName): boolean {
    if (isTooMany) this.added.delete(name)
    return !isTooMany
  }

  /** Returns the DBIs whose keys ascend in the newer view. The sink must have received all changes up to that view. */
  stillRising(after: ReadTransaction): ReadonlySet<DbiName.DbiName> {
    const rising = new Set<DbiName.DbiName>()
    for (const { flags, name } of after.dbis) {
      const keys = this.added.get(name)
      if (keys === undefined) continue
      const cursor = after.cursor(name)
      try {
        if (areInPlace(cursor, keys, KeyOrder.orderOf(flags))) rising.add(name)
      } catch (error) {
        // Keys are not in order. The walk over the DBI will report which ones.
        if (!(error instanceof LmdbError)) throw error
      } finally {
        cursor.close()
      }
    }
    return rising
  }
}

const areInPlace = (cursor: Cursor, keys: KeySet, order: KeyOrder.KeyOrder): boolean => {
  const sorted = keys.sorted(order)
  for (const index of sorted) {
    const [start, end] = [keys.startOf(index), keys.endOf(index)]
    if (!cursor.seek(keys.bytes, start, end)) return false
    if (compareBytes(cursor.key, cursor.keyStart, cursor.keyEnd, keys.bytes, start, end) !== 0) return false
    // The cursor is closed at the end of the DBI.
    if (!cursor.next()) return index === sorted.at(-1)
    if (KeyOrder.compareKeys(order, keys.bytes, start, end, cursor.key, cursor.keyStart, cursor.keyEnd) >= 0)
      return false
  }
  return true
}
