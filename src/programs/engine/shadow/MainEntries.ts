/**
 * A cursor over the entries of an application's DBI in the form that its shadow has: one entry per key or, with
 * MDB_DUPSORT, one entry per pair with the shadow key, which must ascend. It wraps the cursor of the DBI. The current
 * entry is valid until the next step.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import * as DupsortKey from "../../../domain/lmdb/DupsortKey.ts"
import { compareKeys, plain } from "../../../domain/lmdb/KeyOrder.ts"
import { UnsupportedDbi } from "../../../services/Database.ts"
import type { ForwardCursor, Dbi } from "../../../services/Lmdb.ts"
import { hexOf } from "../../../domain/bytes/Hex.ts"
import { maxKeyBytes } from "../../../domain/lmdb/Limits.ts"

class DupsortEntries implements ForwardCursor {
  readonly keyStart = 0
  keyEnd = 0
  key: Uint8Array = new Uint8Array(maxKeyBytes)
  private last: Uint8Array = new Uint8Array(maxKeyBytes)
  private lastEnd = 0
  private readonly pairs: ForwardCursor
  private readonly dbi: DbiName.DbiName

  constructor(dbi: DbiName.DbiName, pairs: ForwardCursor) {
    this.dbi = dbi
    this.pairs = pairs
  }

  get value(): Uint8Array {
    return this.pairs.value
  }
  get valueStart(): number {
    return this.pairs.valueStart
  }
  get valueEnd(): number {
    return this.pairs.valueEnd
  }

  readonly next = (): boolean => {
    const { pairs } = this
    if (!pairs.next()) return false
    const target = this.last
    this.last = this.key
    this.lastEnd = this.keyEnd
    this.key = target
    this.keyEnd = DupsortKey.write(
      target,
      pairs.key,
      pairs.keyStart,
      pairs.keyEnd,
      pairs.value,
      pairs.valueStart,
      pairs.valueEnd
    )
    if (this.keyEnd === 0) this.fail(`keys of 1 to ${DupsortKey.maxPairKeyBytes} bytes can be synced with dupsort_hack`)
    if (this.lastEnd > 0 && compareKeys(plain, this.last, 0, this.lastEnd, this.key, 0, this.keyEnd) >= 0) {
      this.fail(
        "this pair and the one before it have no unique keys in rising order in the shadow: dupsort_hack cannot represent them"
      )
    }
    return true
  }

  readonly forget = (): void => this.pairs.forget()

  readonly close = (): void => this.pairs.close()

  private fail(what: string): never {
    const { key, keyEnd, keyStart } = this.pairs
    const hex = hexOf(key, keyStart, keyEnd)
    throw new UnsupportedDbi({ dbi: DbiName.display(this.dbi), problem: `key 0x${hex}: ${what}` })
  }
}

/** Opens the cursor. `cursor` is a cursor over the application's DBI. */
export const open = (dbi: Dbi, cursor: ForwardCursor): ForwardCursor =>
  DbiFlags.isDupsort(dbi.flags) ? new DupsortEntries(dbi.name, cursor) : cursor
