/**
 * Gathers bytes from several chunks. The buffer grows with the bytes that arrive rather than to an announced length, so
 * a wrong length in a corrupt snapshot costs no memory.
 */

const firstSize = 4_096
/** Size in bytes above which a buffer, grown for a rare large value, is not kept for the next content. */
const largestKept = 1 << 20

export class GrowingBuffer {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(firstSize)

  /** Prepares the buffer for new content. */
  reset(): void {
    if (this.bytes.length > largestKept) this.bytes = new Uint8Array(firstSize)
  }

  /** Copies `source[start..end)` to offset `at`. Bytes before `at` stay. */
  put(source: Uint8Array, start: number, end: number, at: number): void {
    const stop = at + end - start
    if (stop > this.bytes.length) {
      const grown = new Uint8Array(Math.max(stop, 2 * this.bytes.length))
      grown.set(this.bytes.subarray(0, at))
      this.bytes = grown
    }
    this.bytes.set(source.subarray(start, end), at)
  }
}
