/**
 * Generates the content of the LMDBs that are measured. It resembles that of PowerDNS (schema 5), is reproducible from
 * a seed, and is in key order.
 *
 * A domain has one entry in `domains_v5` (key: its number, 4 bytes), one in `domains_v5_0` (key: length, reversed name,
 * number; no value, because PowerDNS stores everything in the key) and six in `records_v5` (key: number, host, type; 10
 * to 40 bytes; value of 40 to 80 bytes). Every value follows a native header of 24 bytes (docs/format.md), which the
 * writer omits for shadow mode. The random parts are as large as in real zones, because they determine how well the
 * data compress.
 */

/** Size in bytes of the native header before every value. */
export const headerBytes = 24

export const dbis = ["domains_v5", "domains_v5_0", "records_v5"] as const
export type DbiName = (typeof dbis)[number]

export const recordsPerDomain = 6
export const entriesPerDomain = recordsPerDomain + 2

/** Prefixes of host names, sorted. Random letters are appended to all but the first two. */
const hosts = ["_dmarc", "autodiscover", "ftp-", "mail-", "server-", "www-"] as const
const types = [16, 5, 1, 15, 28, 1] as const

const letters = Buffer.from("etaoinshrdlucmfwypvbgkjqxz0123456789")

/** 1 January 2026, in units of 2^32 ns (4.3 s). The times of all entries are in the five hours after it. */
export const epochHigh = Math.floor(1_767_225_600e9 / 2 ** 32)
export const timeSpan = 4096

/** The part of a value that follows its random part. As in real zones, it is the same in many records. */
const common = Buffer.from(" a mx include:_spf.example.net ~all")

/** Writes one entry after the other to `bytes`. The fields are the offsets of the current one. */
export class PdnsEntries {
  readonly bytes = Buffer.alloc(256)
  readonly keyFrom = 0
  keyTo = 0
  readonly valueFrom = 64
  valueTo = 0
  private readonly domains: number
  private state: number

  constructor(domains: number, seed: number) {
    this.domains = domains
    this.state = (seed ^ 0x9e3779b9) >>> 0
  }

  /**
   * Returns an integer from 0 to `below` - 1. The generator is xorshift32, whose period from any state but 0 is 2^32 -
   * 1.
   */
  private random(below: number): number {
    let x = this.state === 0 ? 1 : this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x >>> 0
    return this.state % below
  }

  private fill(from: number, to: number): void {
    for (let i = from; i < to; i++) this.bytes[i] = letters[this.random(letters.length)]!
  }

  private header(): void {
    const at = this.valueFrom
    this.bytes.writeUInt32BE(epochHigh + this.random(timeSpan), at)
    this.bytes.writeUInt32BE((this.random(65536) * 65536 + this.random(65536)) >>> 0, at + 4)
    this.bytes.fill(0, at + 8, at + 24)
    this.bytes[at + 15] = 1
  }

  /**
   * Writes the name of a domain. The length of names increases with their number, so that they are in the order of the
   * index, which sorts by length first.
   */
  private name(domain: number, at: number): number {
    const length = 14 + Math.floor((domain * 20) / this.domains)
    this.bytes.write("moc\0", at, "latin1")
    this.bytes.write(domain.toString(36).padStart(6, "0"), at + 4, "latin1")
    // The letters depend on the number of the domain and not on the state, because the name is the same in both DBIs.
    for (let i = 10; i < length; i++) this.bytes[at + i] = letters[(domain * 7 + i * i * 31) % letters.length]!
    return length
  }

  domain(domain: number): void {
    const at = this.valueFrom + 24
    this.bytes.writeUInt32BE(domain + 1, 0)
    this.keyTo = 4
    this.header()
    const end = at + this.name(domain, at)
    this.bytes.fill(0, end, end + 16)
    this.bytes.writeUInt32BE(2_026_000_000 + this.random(100), end + 4)
    this.valueTo = end + 16 + this.bytes.write("NATIVE admin", end + 16, "latin1")
  }

  index(domain: number): void {
    const length = this.name(domain, 2)
    this.bytes.writeUInt16BE(length, 0)
    this.bytes.writeUInt32BE(domain + 1, 2 + length)
    this.keyTo = 6 + length
    this.header()
    this.valueTo = this.valueFrom + 24
  }

  record(domain: number, n: number): void {
    this.bytes.writeUInt32BE(domain + 1, 0)
    const host = hosts[n]!
    const room = 4 + host.length + (n < 2 ? 0 : this.random(28 - host.length))
    this.bytes.write(host, 4, "latin1")
    this.fill(4 + host.length, room)
    this.bytes.writeUInt16BE(types[n]!, room)
    this.keyTo = room + 2
    this.header()
    const at = this.valueFrom + 24
    // First TTL, flags and length as PowerDNS stores them, then the content.
    this.bytes.writeUInt32BE(3600, at)
    this.bytes.writeUInt32BE(0x0100_0000, at + 4)
    const text = at + 8 + this.bytes.write("\x05relay\x07example\x03net\x00 v=", at + 8, "latin1")
    this.valueTo = at + 40 + this.random(41)
    const own = Math.min(this.valueTo, text + 12)
    this.fill(text, own)
    for (let i = own; i < this.valueTo; i++) this.bytes[i] = common[i - own]!
  }
}
