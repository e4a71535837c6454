/** Reads a spooled snapshot in order through one buffer, because a new buffer per read would burden the collector. */
import { Effect } from "effect"
import type { Bytes } from "../../../domain/bytes/Bytes.ts"
import type { Spool, Spooled } from "../../../services/Spool.ts"

/** Number of bytes that are read from the spool at once. */
const windowBytes = 2 ** 20

export class SpoolWindow {
  readonly #spool: Spool["Service"]
  readonly #spooled: Spooled
  #buffer: Bytes = new Uint8Array(windowBytes)
  #start = 0
  #length = 0

  constructor(spool: Spool["Service"], spooled: Spooled) {
    this.#spool = spool
    this.#spooled = spooled
  }

  /** Returns bytes `start` to `wanted`, or to the end of the snapshot. They are valid until the next call. */
  readonly read = Effect.fnUntraced({ self: this as SpoolWindow }, function* (start: number, wanted: number) {
    const end = Math.min(wanted, this.#spooled.size)
    if (start < this.#start || end > this.#start + this.#length) yield* this.#fill(start, end)
    return this.#buffer.subarray(start - this.#start, end - this.#start)
  })

  readonly #fill = Effect.fnUntraced({ self: this as SpoolWindow }, function* (start: number, end: number) {
    const length = Math.min(Math.max(end - start, windowBytes), this.#spooled.size - start)
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(length)
    // The window is empty during the read, which may fail halfway.
    this.#length = 0
    yield* this.#spool.readInto(this.#spooled, start, this.#buffer.subarray(0, length))
    this.#start = start
    this.#length = length
  })
}
