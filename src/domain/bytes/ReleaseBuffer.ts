/**
 * Returns the memory of a buffer to the system at once, not at the next garbage collection: a program that allocates
 * little is collected rarely, and would hold the memory of many buffers meanwhile. The buffer, and every other view of
 * the same memory, has no bytes afterwards.
 */
export const releaseBuffer = ({ buffer }: Uint8Array<ArrayBuffer>): void => {
  // Smaller buffers may be part of Node's pool, which they share with others.
  if (buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}
