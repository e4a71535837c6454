/**
 * Computes a digest of the entries of a DBI from key, timestamp, deleted flag and application value, in the order of
 * the keys. Equal digests mean equal content as defined in docs/sync.md: transaction ids and extension blocks of
 * headers and the bytes of tombstones do not count.
 *
 * The entries are concatenated in the form below, and the result is divided into blocks of 64 KiB. The digest after
 * each block is the SHA-256 of the previous digest (empty at first) followed by the block.
 *
 *     length of key (4) ‖ key ‖ timestamp (8) ‖ deleted (1) ‖ length of value (4) ‖ value
 */
import type { Compression } from "../../services/Compression.ts"
import type { EntrySource } from "./EntrySource.ts"

const blockBytes = 65_536
const copiedInLoop = 64

export class EntryDigest {
  readonly #digestNow: Compression["Service"]["digestNow"]
  readonly #block = new Uint8Array(blockBytes)
  readonly #head = new Uint8Array(13)
  #length = 0
  #before: Uint8Array = new Uint8Array(0)

  constructor(digestNow: Compression["Service"]["digestNow"]) {
    this.#digestNow = digestNow
  }

  add(entry: EntrySource): void {
    const valueLength = entry.isDeleted ? 0 : entry.valueEnd - entry.valueStart
    const head = this.#head
    this.#uint32(0, entry.keyEnd - entry.keyStart)
    this.#put(head, 0, 4)
    this.#put(entry.key, entry.keyStart, entry.keyEnd)
    this.#uint32(0, entry.timestampHigh)
    this.#uint32(4, entry.timestampLow)
    head[8] = entry.isDeleted ? 1 : 0
    this.#uint32(9, valueLength)
    this.#put(head, 0, 13)
    this.#put(entry.value, entry.valueStart, entry.valueStart + valueLength)
  }

  /** The digest of everything that was added, in hexadecimal. */
  get hex(): string {
    const rest = this.#block.subarray(0, this.#length)
    return Buffer.from(this.#digestNow(this.#before, rest), "latin1").toString("hex")
  }

  #uint32(at: number, value: number): void {
    const head = this.#head
    head[at] = value >>> 24
    head[at + 1] = value >>> 16
    head[at + 2] = value >>> 8
    head[at + 3] = value
  }

  #put(bytes: Uint8Array, start: number, end: number): void {
    const block = this.#block
    for (let from = start; from < end;) {
      const room = blockBytes - this.#length
      const count = end - from < room ? end - from : room
      if (count <= copiedInLoop) for (let i = 0; i < count; i++) block[this.#length + i] = bytes[from + i]!
      else block.set(bytes.subarray(from, from + count), this.#length)
      from += count
      this.#length += count
      if (this.#length === blockBytes) this.#flush()
    }
  }

  #flush(): void {
    this.#before = Buffer.from(this.#digestNow(this.#before, this.#block), "latin1")
    this.#length = 0
  }
}
