/**
 * Buffers for compressed members that are being decompressed. They are used again: new memory costs thirty times as
 * much as what is copied into it. A buffer that is larger than most members need is released after use.
 */
import { Effect } from "effect"
import type { Bytes } from "../../../domain/bytes/Bytes.ts"
import { releaseBuffer } from "../../../domain/bytes/ReleaseBuffer.ts"

/** Most compressed members have less. */
const bufferBytes = 2 ** 19

export class MemberBuffers {
  readonly #spare: Array<Bytes> = []

  /** Gives a copy of `bytes` to `use`, and takes the buffer back when that is over. */
  withCopy<A, E, R>(bytes: Bytes, use: (copy: Bytes) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const { length } = bytes
    const buffer = length > bufferBytes ? new Uint8Array(length) : (this.#spare.pop() ?? new Uint8Array(bufferBytes))
    buffer.set(bytes)
    return Effect.ensuring(
      use(buffer.subarray(0, length)),
      Effect.sync(() => this.#takeBack(buffer))
    )
  }

  #takeBack(buffer: Bytes): void {
    if (buffer.length > bufferBytes) releaseBuffer(buffer)
    else this.#spare.push(buffer)
  }
}
