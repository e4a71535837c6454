/**
 * Gives the memory of a buffer back at once, not when the collector finds out: what is collected seldom, since little
 * is made, would hold as much as many buffers. Nobody may read the buffer, or another view of the same memory, any
 * more: both have no bytes after that.
 */
export const releaseBuffer = ({ buffer }: Uint8Array<ArrayBuffer>): void => {
  // Up to that size Node may have cut it from a pool, which others have parts of.
  if (buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}
