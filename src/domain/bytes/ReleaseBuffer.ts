/**
 * Returns the memory of a buffer to the system at once. The garbage collector would do so late, because it rarely runs
 * in a program that allocates little, and the memory of many buffers would be held meanwhile. Afterwards the buffer,
 * and every other view of the same memory, is empty.
 */
export const releaseBuffer = ({ buffer }: Uint8Array<ArrayBuffer>): void => {
  // Smaller buffers may share the memory of Node's pool.
  if (buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}
