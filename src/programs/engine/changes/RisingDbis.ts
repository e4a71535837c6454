/**
 * Carries the knowledge that the keys of a DBI rise (`WalkedDbis`) from one view to a newer one, without walking the
 * DBI: those that were there keep their order, so only the keys that are new have to be looked at. Each of them must be
 * found where LMDB looks for it, and the one behind it must come after it.
 *
 * What does not hold is forgotten, and so is a DBI with too many new keys: the next merge walks it and says what is
 * wrong.
 */
import type * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { KeySet } from "../../../domain/lmdb/KeySet.ts"
import * as KeyOrder from "../../../domain/lmdb/KeyOrder.ts"
import { compareBytes } from "../../../domain/bytes/ByteOrder.ts"
import { type ChangeSink, type Cursor, type Dbi, LmdbError, type ReadTransaction } from "../../../services/Lmdb.ts"

/** New keys of a DBI between two polls: to walk it is as cheap when there are more. */
const newKeysMax = 4_096

export class RisingDbis {
  /** Names, with the keys that are new. */
  private readonly added = new Map<DbiName.DbiName, KeySet>()
  private readonly earlier: ReadonlyMap<DbiName.DbiName, Dbi>

  /** `names`: DBIs whose keys are known to rise in a view from `before` on. */
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
        if (keys.count > newKeysMax) this.added.delete(name!)
        return keys.count <= newKeysMax
      }
    }
  }

  /** Returns those whose keys rise in the newer view, of which the sink has seen all changes. */
  stillRising(after: ReadTransaction): ReadonlySet<DbiName.DbiName> {
    const rising = new Set<DbiName.DbiName>()
    for (const { flags, name } of after.dbis) {
      const keys = this.added.get(name)
      if (keys === undefined) continue
      const cursor = after.cursor(name)
      try {
        if (areInPlace(cursor, keys, KeyOrder.orderOf(flags))) rising.add(name)
      } catch (error) {
        // Keys that are not in order: whoever walks the DBI says which.
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
