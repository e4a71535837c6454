/**
 * Keys of DBI `domains_v5_0` of PowerDNS 4.8 (LMDB schema 5), the index of zones by name: the length of the name in 2
 * bytes, big-endian, its labels in reverse order with a zero byte between, and the zone's id in 4 bytes, big-endian.
 */

export interface PdnsDomainKey {
  /** Labels in reverse order with a zero byte between, as one character (U+0000 to U+00FF) per byte. */
  readonly name: string
  readonly id: number
}

const lengthBytes = 2
const idBytes = 4

/** Parses the key `bytes[start..end)`. Returns undefined when it is not such a key. */
export const parseDomainKey = (bytes: Uint8Array, start: number, end: number): PdnsDomainKey | undefined => {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
  if (key.length < lengthBytes + idBytes || key.length !== lengthBytes + key.readUInt16BE() + idBytes) return undefined
  const idAt = key.length - idBytes
  return { name: key.toString("latin1", lengthBytes, idAt), id: key.readUInt32BE(idAt) }
}

export const formatDomainKey = ({ id, name }: PdnsDomainKey): Uint8Array<ArrayBuffer> => {
  const key = Buffer.alloc(lengthBytes + name.length + idBytes)
  key.writeUInt16BE(name.length)
  key.write(name, lengthBytes, "latin1")
  key.writeUInt32BE(id, lengthBytes + name.length)
  return key
}

/** Returns the name in the usual notation, without the final dot. */
export const displayName = ({ name }: PdnsDomainKey): string =>
  name
    .split("\0")
    .filter((label) => label !== "")
    .toReversed()
    .join(".")

/** Returns the key that a zone with the name of another zone is renamed to: `<name>.dup-<id>.invalid`. */
export const renamed = ({ id, name }: PdnsDomainKey): PdnsDomainKey => ({ id, name: `invalid\0dup-${id}\0${name}` })

export const isRenamed = ({ name }: PdnsDomainKey): boolean => /^invalid\0dup-\d+\0/.test(name)
