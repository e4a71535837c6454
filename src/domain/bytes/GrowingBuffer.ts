/**
 * Bytes gathered from several chunks. It grows with what arrives, never with what is announced: a length in a broken
 * snapshot costs nothing.
 */

const firstSize = 4_096
/** What a rare large value left behind is not kept for the small ones after it. */
const largestKept = 1 << 20

export class GrowingBuffer {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(firstSize)

  /** For new content. */
  reset(): void {
    if (this.bytes.length > largestKept) this.bytes = new Uint8Array(firstSize)
  }

  /** Copies `source[start..end)` to offset `at`; what lies before stays. */
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
