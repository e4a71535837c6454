/**
 * Checks that pairs of an MDB_DUPSORT DBI, which arrive in the order of their shadow keys, also ascend in the order of
 * the DBI itself, because the copy main → shadow walks both side by side. The two orders differ if a key or a value is
 * the beginning of another one that continues with NULs, or with bytes below the length of the key. An empty value must
 * be the only value of its key, because LMDB loses it when another one is put beside it.
 */
import { compareBytes } from "../../../domain/bytes/ByteOrder.ts"
import { hexOf } from "../../../domain/bytes/Hex.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { maxKeyBytes } from "../../../domain/lmdb/Limits.ts"
import { SnapshotRefused } from "../../../domain/snapshot/SnapshotRules.ts"

export class RisingPairs {
  private readonly dbi: DbiName.DbiName
  private readonly key = new Uint8Array(maxKeyBytes)
  private readonly value = new Uint8Array(maxKeyBytes)
  private keyLength = 0
  private valueLength = 0

  constructor(dbi: DbiName.DbiName) {
    this.dbi = dbi
  }

  /** Adds a pair. Throws SnapshotRefused if it does not come after the previous one. */
  add(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number
  ): void {
    const length = valueEnd - valueStart
    if (length > maxKeyBytes) {
      this.refuse(key, keyStart, keyEnd, `has ${length} bytes, with MDB_DUPSORT there are at most ${maxKeyBytes}`)
    }
    if (this.keyLength > 0) {
      const difference = compareBytes(this.key, 0, this.keyLength, key, keyStart, keyEnd)
      if (difference === 0 && (length === 0) !== (this.valueLength === 0)) {
        this.refuse(key, keyStart, keyEnd, "is an empty one beside others, or beside an empty one: LMDB would lose one")
      }
      const rises =
        difference < 0 ||
        (difference === 0 && compareBytes(this.value, 0, this.valueLength, value, valueStart, valueEnd) < 0)
      if (!rises) {
        const other = hexOf(this.key, 0, this.keyLength)
        this.refuse(
          key,
          keyStart,
          keyEnd,
          `and one of key 0x${other} have another order in the shadow than in the DBI: dupsort_hack cannot represent them`
        )
      }
    }
    for (let p = keyStart, to = 0; p < keyEnd; p++, to++) this.key[to] = key[p]!
    for (let p = valueStart, to = 0; p < valueEnd; p++, to++) this.value[to] = value[p]!
    this.keyLength = keyEnd - keyStart
    this.valueLength = length
  }

  private refuse(key: Uint8Array, keyStart: number, keyEnd: number, what: string): never {
    const hex = hexOf(key, keyStart, keyEnd)
    throw new SnapshotRefused({ problem: `DBI "${DbiName.display(this.dbi)}", key 0x${hex}: its value ${what}` })
  }
}
