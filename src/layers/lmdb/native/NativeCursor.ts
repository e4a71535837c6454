/**
 * A cursor on top of the package's native cursor, without copies. The package's own walk (`getRange`) allocates two
 * objects per entry. Here a step is one call and allocates nothing: 55 ns instead of 100 ns per entry, measured with
 * 800,000 entries. Each key is checked to follow the previous one.
 */
import { hexOf } from "../../../domain/bytes/Hex.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import * as KeyOrder from "../../../domain/lmdb/KeyOrder.ts"
import { type Cursor, KeysNotInOrder } from "../../../services/Lmdb.ts"
import { copyInto, disown, displace, own, type Owner } from "./buffers/BufferOwner.ts"
import { keyOffset, none, shared } from "./buffers/SharedBuffers.ts"
import {
  getCurrentValue,
  iterate,
  lmdbError,
  NativeCursor,
  type PackageDbi,
  type PackageTransaction,
  position,
  setGlobalBuffer
} from "./NativePackage.ts"

/** Flags of `position`: read keys and values forward, and check that the keys rise in the order of the DBI's flags. */
const withValues = 0x100
const checkOrder = 0x20000
const dbiFlagsShift = 17

/** Returned by the patched package when the keys are out of order. */
const keysNotInOrder = -29_999

/** Returned by the package, besides 0, when there are no more entries. Source: lmdb.h. */
const notFound = -30_798

export interface CursorSource {
  /** Undefined for the root DBI. */
  readonly name: DbiName.DbiName | undefined
  readonly flags: number
  readonly dbi: PackageDbi
  readonly closed: boolean
}

/** The parts of the environment that a cursor uses. */
export interface CursorHost {
  readonly toError: (error: unknown) => unknown
  /** Throws when the data file was replaced or has become smaller. */
  readonly requireSame: () => void
}

/**
 * Steps between two checks of the file, which take some milliseconds. A walk that touches pages beyond the end of a
 * truncated file kills the process.
 */
const stepsPerLook = 2 ** 15

/** Throws the package's error for a code. */
const fail = (code: number): never => {
  lmdbError(code)
  throw new Error(`LMDB failed with ${code}`)
}

export class InPlaceCursor implements Cursor, Owner {
  key: Uint8Array = none
  keyStart = 0
  keyEnd = 0
  value: Uint8Array = none
  valueStart = 0
  valueEnd = 0
  /** LMDB's cursor points into the source, so it must live as long as this object. */
  readonly #source: CursorSource
  readonly #host: CursorHost
  readonly #onClose: (cursor: InPlaceCursor) => void
  readonly #cursor: NativeCursor
  /**
   * Undefined when the cursor is closed. Because the field has not always been a number, V8 passes the boxed value on
   * without allocating a number for each call.
   */
  #address: number | undefined
  /** The key to start at, until the first step. */
  #from: Uint8Array | undefined
  #steps = 0
  #keptKey: Uint8Array = none
  #keptValue: Uint8Array = none

  /**
   * Without `transaction`, the cursor belongs to the open write transaction. It must be closed before its transaction
   * ends.
   */
  constructor(
    source: CursorSource,
    transaction: PackageTransaction | undefined,
    from: Uint8Array | undefined,
    host: CursorHost,
    onClose: (cursor: InPlaceCursor) => void
  ) {
    this.#source = source
    this.#host = host
    this.#onClose = onClose
    this.#from = from === undefined ? none : Uint8Array.from(from)
    this.#cursor = new NativeCursor(source.dbi.db, transaction?.address ?? 0)
    this.#address = this.#cursor.address
  }

  next(): boolean {
    if (this.#address === undefined) return false
    if (++this.#steps % stepsPerLook === 0) this.#host.requireSame()
    displace(this)
    return this.#show(this.#from === undefined ? iterate(this.#address) : this.#first(this.#address, this.#from))
  }

  seek(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#address === undefined) return false
    if (this.#source.closed) throw this.#dropped()
    displace(this)
    this.#from = undefined
    const { key } = shared
    // A loop, because keys are short and `set` would need a view.
    for (let from = start, to = 0; from < end; from++, to++) key[to] = bytes[from]!
    return this.#show(this.#position(this.#address, end - start))
  }

  #show(size: number): boolean {
    if (size <= 0) return this.#end(size)
    const { key, value } = shared
    const length = shared.lengths[0]!
    this.key = key
    this.keyStart = keyOffset
    this.keyEnd = keyOffset + size
    this.value = length > value.length ? this.#large(this.#address!, length) : value
    this.valueStart = 0
    this.valueEnd = length
    own(this)
    return true
  }

  #first(address: number, from: Uint8Array): number {
    this.#from = undefined
    if (from.length > 0 && this.#source.closed) throw this.#dropped()
    shared.key.set(from)
    return this.#position(address, from.length)
  }

  #position(address: number, keyLength: number): number {
    return position(address, withValues | checkOrder | (this.#source.flags << dbiFlagsShift), 0, keyLength, 0)
  }

  /** LMDB would search in the order of whichever DBI has the number now. */
  #dropped(): unknown {
    this.close()
    return this.#host.toError(new Error("the DBI was dropped before a cursor looked for a key in it"))
  }

  /** Every code other than the end of the entries is an error. */
  #end(code: number): false {
    this.close()
    if (code === 0 || code === notFound) return false
    if (code === keysNotInOrder) throw this.#outOfOrder()
    try {
      return fail(code)
    } catch (error) {
      throw this.#host.toError(error)
    }
  }

  /** The package has stored both keys in its buffer, one after the other, and their lengths at its start. */
  #outOfOrder(): unknown {
    const { flags, name } = this.#source
    const { key, lengths } = shared
    const middle = keyOffset + lengths[0]!
    return this.#host.toError(
      new KeysNotInOrder({
        dbi: name === undefined ? "(root)" : DbiName.display(name),
        key: hexOf(key, keyOffset, middle),
        before: hexOf(key, middle, middle + lengths[1]!),
        order: KeyOrder.display(KeyOrder.orderOf(flags))
      })
    )
  }

  /**
   * Reads a value that is too large for the package's buffer into a buffer of its own, which lives as long as the
   * entry.
   */
  #large(address: number, length: number): Uint8Array {
    const buffer = new Uint8Array(length)
    setGlobalBuffer(buffer)
    try {
      getCurrentValue(address)
    } finally {
      setGlobalBuffer(shared.valueBuffer)
    }
    return buffer
  }

  keep(): void {
    this.#keptKey = copyInto(this.#keptKey, this.key, this.keyStart, this.keyEnd)
    this.key = this.#keptKey
    this.keyEnd -= this.keyStart
    this.keyStart = 0
    // Any other buffer already belongs to the entry.
    if (this.value !== shared.value) return
    this.#keptValue = copyInto(this.#keptValue, this.value, this.valueStart, this.valueEnd)
    this.value = this.#keptValue
    this.valueEnd -= this.valueStart
    this.valueStart = 0
  }

  forget(): void {
    disown(this)
  }

  close(): void {
    if (this.#address === undefined) return
    this.#address = undefined
    this.forget()
    this.key = this.value = this.#keptKey = this.#keptValue = none
    this.keyStart = this.keyEnd = this.valueStart = this.valueEnd = 0
    this.#onClose(this)
    this.#cursor.close()
  }
}
