/** The result of a `get`, which shows the value in the package's buffer. */
import type { Found } from "../../../../services/Lmdb.ts"
import { copyInto, disown, own, type Owner } from "./BufferOwner.ts"
import { none, shared, useValueBuffer } from "./SharedBuffers.ts"

/** One object per transaction, reused by each `get`. */
export class InPlaceFound implements Found, Owner {
  value: Uint8Array = none
  valueStart = 0
  valueEnd = 0
  #kept: Uint8Array = none

  keep(): void {
    this.#kept = copyInto(this.#kept, this.value, this.valueStart, this.valueEnd)
    this.valueEnd -= this.valueStart
    this.valueStart = 0
    this.value = this.#kept
  }

  /** Must be called before a `get` with the same object, whose content is then no longer needed. */
  forget(): void {
    disown(this)
  }

  /** `buffer` is the package's buffer, with its length set. */
  show(buffer: Uint8Array): this {
    useValueBuffer(buffer)
    this.value = shared.value
    this.valueStart = 0
    this.valueEnd = buffer.length
    own(this)
    return this
  }
}
