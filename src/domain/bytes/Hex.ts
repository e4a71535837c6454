/** Returns a range of bytes as hexadecimal text, for messages and output. */
export const hexOf = (bytes: Uint8Array, start = 0, end = bytes.length): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("hex")
