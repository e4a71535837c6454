/**
 * A cursor that shows only the entries of given keys, which it looks up in the DBI.
 *
 * If an application sets its own comparison function, its keys are not where LMDB looks for them. A key that must exist
 * but is not found therefore raises a doubt, and the DBI must be walked to find out what is wrong.
 */
import { compareBytes } from "../../../domain/bytes/ByteOrder.ts"
import type { KeyOrder } from "../../../domain/lmdb/KeyOrder.ts"
import type { KeySet } from "../../../domain/lmdb/KeySet.ts"
import type { Cursor, ForwardCursor } from "../../../services/Lmdb.ts"

export class KeysCursor implements ForwardCursor {
  private readonly cursor: Cursor
  private readonly keys: KeySet
  private readonly sorted: Uint32Array
  /** True if a key with the mark `present` was not found. */
  doubt = false
  private readonly present: number
  private index = 0

  /** Creates a cursor. `present` is the mark of keys that must exist, or 0 if none must. */
  constructor(cursor: Cursor, keys: KeySet, order: KeyOrder, present: number) {
    this.present = present
    this.cursor = cursor
    this.keys = keys
    this.sorted = keys.sorted(order)
  }

  next(): boolean {
    const { cursor, keys } = this
    while (this.index < this.sorted.length) {
      const key = this.sorted[this.index++]!
      const start = keys.startOf(key)
      const end = keys.endOf(key)
      const isAtEnd = !cursor.seek(keys.bytes, start, end)
      const { key: bytes, keyEnd, keyStart } = cursor
      if (!isAtEnd && compareBytes(bytes, keyStart, keyEnd, keys.bytes, start, end) === 0) return true
      if (this.present !== 0 && keys.marks[key] === this.present) this.doubt = true
    }
    this.close()
    return false
  }

  get key(): Uint8Array {
    return this.cursor.key
  }

  get keyStart(): number {
    return this.cursor.keyStart
  }

  get keyEnd(): number {
    return this.cursor.keyEnd
  }

  get value(): Uint8Array {
    return this.cursor.value
  }

  get valueStart(): number {
    return this.cursor.valueStart
  }

  get valueEnd(): number {
    return this.cursor.valueEnd
  }

  forget(): void {
    this.cursor.forget()
  }

  close(): void {
    this.index = this.sorted.length
    this.cursor.close()
  }
}
