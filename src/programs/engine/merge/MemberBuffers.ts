/**
 * Buffers for compressed members that are being decompressed. They are reused, because allocating memory takes thirty
 * times as long as copying into it. A buffer that is larger than most members need is released after use.
 */
import { Effect } from "effect"
import type { Bytes } from "../../../domain/bytes/Bytes.ts"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"

/** Size of a buffer in bytes. Most compressed members are smaller. */
const bufferBytes = 2 ** 19

export class MemberBuffers {
  readonly #spare: Array<Bytes> = []

  /** Passes a copy of `bytes` to `use`, and takes the buffer back when `use` has ended. */
  withCopy<A, E, R>(bytes: Bytes, use: (copy: Bytes) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { length } = bytes
    const buffer = length > bufferBytes ? new Uint8Array(length) : (this.#spare.pop() ?? new Uint8Array(bufferBytes))
    buffer.set(bytes)
    return Effect.ensuring(
      use(buffer.subarray(0, length)),
      Effect.sync(() => this.#recycle(buffer))
    )
  }

  #recycle(buffer: Bytes): void {
    if (buffer.length > bufferBytes) releaseBuffer(buffer)
    else this.#spare.push(buffer)
  }
}
