/**
 * Puts and removes in the open write transaction, as the package does them, without what its `putSync` and `removeSync`
 * do besides: those make two functions for each entry, and the thread collects them all the time. Keys and values are
 * not copied but into LMDB's pages, and the key once before.
 *
 * What the package's C++ is given is one instruction in memory, in the machine's byte order. Source: src/writer.cpp of
 * the package.
 *
 *     0 flags u32 | 4 number of the DBI u32 | 8 bytes of the key u32 | 12 key | with a value, at a = the multiple of 8 that is at most 28 + bytes of the key:
 *     a - 4 bytes of the value u32 | a address of the value f64
 *
 * It answers in the flags, and throws what LMDB's codes stand for, but for two.
 */
import { none } from "./SharedBuffers.ts"
import { getBufferAddress, type PackageDbi, type PackageRoot, write } from "./NativePackage.ts"

const putFlags = 0x0f
const appendFlags = 0x20000 | putFlags
const removeFlags = 0x0d
const removePairFlags = 0x0e
/** In the answer: LMDB said MDB_KEYEXIST or MDB_NOTFOUND. */
const failedCondition = 0x4000000

const keyAt = 12
/** Bytes: room for the longest key. */
const instructionBytes = 1024

/**
 * Only while a write transaction is open: without one the process would crash. All offsets were checked, and the key's
 * length: LMDB reads what is there.
 */
export class Instruction {
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #doubles: Float64Array
  // As in InPlaceCursor: passed on as they are, without making new numbers for each call.
  #environment: number | undefined
  #address: number | undefined
  /** Where the last value came from: an address is asked for once per array. */
  #value: Uint8Array = none
  #valueAddress = 0

  constructor(root: PackageRoot) {
    const buffer = new ArrayBuffer(instructionBytes)
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
    this.#doubles = new Float64Array(buffer)
    this.#environment = root.env.address
    this.#address = getBufferAddress(this.#bytes)
  }

  /** False when the key was appended and does not come last. */
  put(
    dbi: PackageDbi,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    append: boolean
  ): boolean {
    this.#setValue(this.#setKey(dbi, key, keyStart, keyEnd), value, valueStart, valueEnd)
    return this.#run(append ? appendFlags : putFlags)
  }

  /** False when it was not there. */
  remove(dbi: PackageDbi, key: Uint8Array, keyStart: number, keyEnd: number): boolean {
    this.#setKey(dbi, key, keyStart, keyEnd)
    return this.#run(removeFlags)
  }

  /** The same, of a DBI with MDB_DUPSORT. */
  removePair(
    dbi: PackageDbi,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number
  ): boolean {
    this.#setValue(this.#setKey(dbi, key, keyStart, keyEnd), value, valueStart, valueEnd)
    return this.#run(removePairFlags)
  }

  /** Offset behind the key. */
  #setKey({ db }: PackageDbi, key: Uint8Array, start: number, end: number): number {
    const bytes = this.#bytes
    const words = this.#words
    words[1] = db.dbi
    words[2] = end - start
    // A loop: keys are short, and `set` would need a view.
    let at = keyAt
    for (let i = start; i < end; i++) bytes[at++] = key[i]!
    return at
  }

  #setValue(behindKey: number, value: Uint8Array, start: number, end: number): void {
    if (value !== this.#value) {
      this.#valueAddress = getBufferAddress(value)
      this.#value = value
    }
    const address = (behindKey + 16) >>> 3
    this.#words[2 * address - 1] = end - start
    this.#doubles[address] = this.#valueAddress + start
  }

  #run(flags: number): boolean {
    const words = this.#words
    words[0] = flags
    write(this.#environment!, this.#address!)
    return (words[0]! & failedCondition) === 0
  }

  /** Releases the caller's buffer. */
  release(): void {
    this.#value = none
    this.#valueAddress = 0
  }
}
