/**
 * A cursor that shows the entries of certain keys alone: it looks each of them up in the DBI.
 *
 * An application that sets a comparison function of its own has keys where LMDB does not look for them. So a key that
 * is known to be there and is not found raises a doubt: then the DBI is to be walked, which tells what is wrong.
 */
import { compareBytes } from "../../../domain/bytes/ByteOrder.ts"
import type { KeyOrder } from "../../../domain/lmdb/KeyOrder.ts"
import type { KeySet } from "../../../domain/lmdb/KeySet.ts"
import type { Cursor, ForwardCursor } from "../../../services/Lmdb.ts"

export class KeysCursor implements ForwardCursor {
  private readonly cursor: Cursor
  private readonly keys: KeySet
  private readonly sorted: Uint32Array
  /** A key with the mark `present` was not found. */
  doubt = false
  private readonly present: number
  private index = 0

  /** `present`: the mark of keys that must be there; 0: none must. */
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
