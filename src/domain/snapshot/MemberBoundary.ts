/**
 * Decides where the compressed members of a snapshot end. Boundaries depend on content, so that equal entries give
 * equal members on every instance, and a change affects only the members between its two neighbouring boundaries. Hash
 * and rate are part of the format (docs/format.md): snapshots with other values could still be read, but would share no
 * members with these.
 *
 * A boundary follows an entry of n encoded bytes with probability n / 512 KiB, by a hash of its key alone. Members
 * therefore have 512 KiB uncompressed on average, whatever the size of the entries.
 */

/** 2^32 / 512 KiB: the share of the hash's range that one encoded byte counts for. */
const rangePerByte = 2 ** 32 / 2 ** 19

/**
 * Returns FNV-1a (32 bits, unsigned) of the key, finished with murmur3's fmix32, because FNV alone mixes the last bytes
 * badly.
 */
export const hashKey = (key: Uint8Array, start: number, end: number): number => {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * True when a member ends after the entry with the key `key[start..end)` and `encodedBytes` bytes, its tag and length
 * included.
 */
export const isBoundary = (key: Uint8Array, start: number, end: number, encodedBytes: number): boolean =>
  hashKey(key, start, end) < encodedBytes * rangePerByte
