/**
 * Keys and values read without a copy. The package reads every key and value into one pair of buffers per thread, for
 * all environments, and asks a codec for the bytes of a key to look for. This is that codec, and who owns what is in
 * the buffers: a cursor, or what `get` found.
 *
 * Guarantees: what an owner shows stays until its own next call, whatever else of this thread reads or writes in
 * between: before its bytes are overwritten, they move to a buffer of its own, and the fields with them. So read the
 * fields again after any other call: who kept the arrays and offsets, has those of somebody else. One cursor alone
 * never copies.
 *
 * The state is a module's, not an environment's, since the package's buffers are.
 */
import type { Found } from "../../../services/Lmdb.ts"
import { globalBuffer, type PackageCodec, type PackageDbi, type PackageTransaction } from "./NativePackage.ts"

export const none = new Uint8Array(0)

/** Where the package puts the key of the current entry. */
export const keyOffset = 32

/**
 * The key to look for next. Fields of one object, not variables of the module: V8 keeps them in registers of the loop.
 */
const keyToRead = { bytes: none as Uint8Array, start: 0, end: 0 }

/** Values are put by instructions. */
const encode = (): never => {
  throw new Error("LmdbNativeInPlace: the package was to put a value by itself")
}

const viewOf = (buffer: Uint8Array): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)

/**
 * The package's buffers, which have extra properties that would make the loops over them slow: so plain views, made
 * once.
 */
export const shared = {
  keyBuffer: none as Uint8Array,
  key: none as Uint8Array,
  /**
   * Two numbers, at the begin of the buffer of keys. The first: bytes of the value that was read last. Of two keys that
   * are not in order, both lengths.
   */
  lengths: new Uint32Array(2) as Uint32Array,
  valueBuffer: none as Uint8Array,
  value: none as Uint8Array
}

const useKeyBuffer = (buffer: Uint8Array): void => {
  if (buffer === shared.keyBuffer) return
  shared.keyBuffer = buffer
  shared.key = viewOf(buffer)
  shared.lengths = new Uint32Array(buffer.buffer, buffer.byteOffset, 2)
}

/** The package takes a larger one when `get` finds a value larger than any before. */
const useValueBuffer = (buffer: Uint8Array): void => {
  if (buffer === shared.valueBuffer) return
  shared.valueBuffer = buffer
  shared.value = viewOf(buffer)
}

export const codec: PackageCodec = {
  keyEncoder: {
    // A loop: keys are short, and `set` would need a view. Ascending, so a key may be written to a place before itself
    // in the same buffer.
    writeKey: (_key, target, start) => {
      const { bytes, end } = keyToRead
      let position = start
      for (let i = keyToRead.start; i < end; i++) target[position++] = bytes[i]!
      return position
    },
    readKey: (buffer, _start, end) => {
      useKeyBuffer(buffer)
      return end
    }
  },
  encoder: { encode, decode: (_buffer, length) => length }
}

/** Shows what is in the package's buffers. */
export interface Owner {
  /** Moves it to buffers of its own. */
  readonly keep: () => void
}

let owner: Owner | undefined

export const own = (it: Owner): void => {
  owner = it
}

/** It is done with what it shows. */
export const disown = (it: Owner): void => {
  if (owner === it) owner = undefined
}

/** To be called before anything that overwrites the package's buffers, unless it is for `next`. */
export const displace = (next?: Owner): void => {
  if (owner !== undefined && owner !== next) {
    owner.keep()
    owner = undefined
  }
}

/** The key that the package looks for next. */
export const setKeyToRead = (bytes: Uint8Array, start: number, end: number): void => {
  displace()
  keyToRead.bytes = bytes
  keyToRead.start = start
  keyToRead.end = end
}

/** Releases the caller's buffer. */
export const release = (): void => {
  keyToRead.bytes = none
}

export const copyInto = (target: Uint8Array, bytes: Uint8Array, start: number, end: number): Uint8Array => {
  const length = end - start
  const copy = target.length >= length ? target : new Uint8Array(Math.max(length, 2 * target.length, 256))
  if (length > 64) copy.set(bytes.subarray(start, end))
  else for (let i = 0; i < length; i++) copy[i] = bytes[start + i]!
  return copy
}

/** One for each transaction, reused by each `get`. */
export class InPlaceFound implements Found, Owner {
  value: Uint8Array = none
  valueStart = 0
  valueEnd = 0
  #kept: Uint8Array = none

  keep(): void {
    this.#kept = copyInto(this.#kept, this.value, this.valueStart, this.valueEnd)
    this.valueEnd -= this.valueStart
    this.valueStart = 0
    this.value = this.#kept
  }

  /** To be called before a `get` with the same object: what it shows is not needed any more. */
  forget(): void {
    disown(this)
  }

  /** `buffer` as the package gave it, with its length set. */
  show(buffer: Uint8Array): this {
    useValueBuffer(buffer)
    this.value = shared.value
    this.valueStart = 0
    this.valueEnd = buffer.length
    own(this)
    return this
  }
}

/**
 * Finds out in each thread which buffers they are, before the first cursor. That of keys the package shows to a codec
 * alone, with the first entry of the root: without one there is nothing to read either.
 */
export const learnBuffers = (root: PackageDbi, transaction: PackageTransaction | undefined): void => {
  if (shared.valueBuffer === none) useValueBuffer(globalBuffer)
  if (shared.keyBuffer !== none) return
  const entries = root
    .getRange(transaction === undefined ? { start: undefined } : { start: undefined, transaction })
    .iterate()
  entries.next()
  entries.return()
}
