/** Spooled bytes in memory: blocks of one size, which all threads share. */
import type { Spooled } from "../../services/Spool.ts"

/** Size of a block, and of the chunks that a place is read in. */
export const blockBytes = 256 * 1024

/** Appends a copy of `chunk` to blocks that hold `length` bytes so far. */
export const append = (blocks: Array<SharedArrayBuffer>, length: number, chunk: Uint8Array): void => {
  let end = length
  for (let start = 0; start < chunk.length;) {
    const used = end % blockBytes
    if (used === 0) blocks.push(new SharedArrayBuffer(blockBytes))
    const part = chunk.subarray(start, start + blockBytes - used)
    new Uint8Array(blocks[blocks.length - 1]!, used).set(part)
    start += part.length
    end += part.length
  }
}

/** Copies the bytes from `start` on into `target`. */
export const copyInto = (target: Uint8Array, blocks: Spooled["memory"], start: number): void => {
  const end = start + target.length
  for (let at = start; at < end;) {
    const inBlock = at % blockBytes
    const part = Math.min(blockBytes - inBlock, end - at)
    target.set(new Uint8Array(blocks[Math.floor(at / blockBytes)]!, inBlock, part), at - start)
    at += part
  }
}
