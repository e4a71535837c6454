/**
 * Puts and removes entries in the open write transaction. The package's `putSync` and `removeSync` would create two
 * functions for each entry, which keeps the garbage collector busy. Here, a value is copied only into LMDB's pages, and
 * a key once more before that.
 *
 * The package's C++ receives one instruction in memory, in the machine's byte order. Source: src/writer.cpp of the
 * package.
 *
 *     0 flags u32 | 4 number of the DBI u32 | 8 bytes of the key u32 | 12 key | with a value, at a = the multiple of 8 that is at most 28 + bytes of the key:
 *     a - 4 bytes of the value u32 | a address of the value f64
 *
 * The result is stored in the flags. LMDB's error codes are thrown, except for two.
 */
import { none } from "./buffers/SharedBuffers.ts"
import { getBufferAddress, type PackageDbi, type PackageRoot, write } from "./NativePackage.ts"

const putFlags = 0x0f
const appendFlags = 0x20000 | putFlags
const removeFlags = 0x0d
const removePairFlags = 0x0e
/** In the result: LMDB returned MDB_KEYEXIST or MDB_NOTFOUND. */
const failedCondition = 0x4000000

const keyAt = 12
/** Bytes, which is enough for the longest key. */
const instructionBytes = 1024

/**
 * Requires an open write transaction; without one the process would crash. The caller has checked all offsets and the
 * length of the key, because LMDB reads whatever is there.
 */
export class Instruction {
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #doubles: Float64Array
  // Boxed values as in InPlaceCursor, which are passed on without allocating numbers for each call.
  #environment: number | undefined
  #address: number | undefined
  /** The array of the last value. The address is looked up once per array. */
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

  /** Returns false when the key should be appended but is not the last one. */
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

  /** Returns false when the key did not exist. */
  remove(dbi: PackageDbi, key: Uint8Array, keyStart: number, keyEnd: number): boolean {
    this.#setKey(dbi, key, keyStart, keyEnd)
    return this.#run(removeFlags)
  }

  /** The same for a DBI with MDB_DUPSORT. */
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

  /** Returns the offset after the key. */
  #setKey({ db }: PackageDbi, key: Uint8Array, start: number, end: number): number {
    const bytes = this.#bytes
    const words = this.#words
    words[1] = db.dbi
    words[2] = end - start
    // A loop, because keys are short and `set` would need a view.
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

  /** Drops the reference to the caller's buffer. */
  release(): void {
    this.#value = none
    this.#valueAddress = 0
  }
}
