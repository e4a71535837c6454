/**
 * Gzip members (RFC 1952) with their length in an extra field, which other readers skip. The length makes it possible
 * to find the next member without decompressing this one. Source: docs/format.md.
 *
 *     1f 8b 08 04  00 00 00 00  04 03  08 00  'L' 'S' 04 00  length (uint32, little-endian; of the whole member)
 *     deflated content
 *     CRC-32, uncompressed length (uint32 each, little-endian)
 */

/** Bytes of a header without fields, as zlib writes it. */
const plainHeader = 10

/** Bytes of a member that must be read to know its length. */
export const headerBytes = 20

const trailerBytes = 8

const header = Uint8Array.of(0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 4, 3, 8, 0, 0x4c, 0x53, 4, 0, 0, 0, 0, 0)

const uint32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0

/** Adds the length to the header of a member made by zlib. A member of 4 GiB or more stays unchanged. */
export const withLength = (member: Uint8Array<ArrayBuffer>): ReadonlyArray<Uint8Array<ArrayBuffer>> => {
  const length = member.length - plainHeader + headerBytes
  if (length >= 2 ** 32) return [member]
  const own = header.slice()
  new DataView(own.buffer).setUint32(headerBytes - 4, length, true)
  return [own, member.subarray(plainHeader)]
}

/** Returns the length of the member that begins with these bytes, or undefined if its header has none. */
export const lengthOf = (start: Uint8Array): number | undefined => {
  if (start.length < headerBytes) return undefined
  for (let i = 0; i < headerBytes - 4; i++) if (start[i] !== header[i]) return undefined
  const length = uint32(start, headerBytes - 4)
  return length < headerBytes + trailerBytes ? undefined : length
}

/** Returns the uncompressed length from the trailer of a whole member. It is not checked. */
export const contentLength = (member: Uint8Array): number => uint32(member, member.length - 4)
