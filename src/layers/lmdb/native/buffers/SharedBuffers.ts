/**
 * Shares the package's buffers for keys and values, so that entries are read without a copy. The package reads every
 * key and value into one pair of buffers per thread, for all environments, and asks a codec for the bytes of the key to
 * look up. This module is that codec. `BufferOwner` tells whose content is in the buffers.
 */
import { displace } from "./BufferOwner.ts"
import { globalBuffer, type PackageCodec, type PackageDbi, type PackageTransaction } from "../NativePackage.ts"

export const none = new Uint8Array(0)

/** Offset at which the package stores the key of the current entry. */
export const keyOffset = 32

/**
 * The key to look up next. It is one object rather than variables of the module, because V8 keeps the fields in
 * registers during the loop.
 */
const keyToRead = { bytes: none as Uint8Array, start: 0, end: 0 }

/** Values are put by instructions. */
const encode = (): never => {
  throw new Error("SharedBuffers: the package was to put a value by itself")
}

const viewOf = (buffer: Uint8Array): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)

/**
 * Plain views of the package's buffers, created once. The buffers themselves have extra properties that would slow down
 * the loops over them.
 */
export const shared = {
  keyBuffer: none as Uint8Array,
  key: none as Uint8Array,
  /**
   * Two numbers at the start of the key buffer. The first is the length in bytes of the value that was read last. After
   * two keys out of order, they are the lengths of both keys.
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

/** The package switches to a larger buffer when `get` finds a value larger than any before. */
export const useValueBuffer = (buffer: Uint8Array): void => {
  if (buffer === shared.valueBuffer) return
  shared.valueBuffer = buffer
  shared.value = viewOf(buffer)
}

export const codec: PackageCodec = {
  keyEncoder: {
    // A loop, because keys are short and `set` would need a view. It ascends, so a key may be written to an earlier
    // position in the same buffer.
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

/** Sets the key that the package looks up next. */
export const setKeyToRead = (bytes: Uint8Array, start: number, end: number): void => {
  displace()
  keyToRead.bytes = bytes
  keyToRead.start = start
  keyToRead.end = end
}

/** Drops the reference to the caller's buffer. */
export const release = (): void => {
  keyToRead.bytes = none
}

/**
 * Finds the buffers of this thread, before the first cursor. The package shows the key buffer only to a codec, here
 * with the first entry of the root. If the root is empty, there is nothing to read.
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
