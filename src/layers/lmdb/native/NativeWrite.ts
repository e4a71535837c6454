/**
 * The operations for the body of a write transaction. It checks the limits of stock LMDB that this build does not have
 * or that LMDB does not check, so that the application can read everything that was written.
 */
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import type { Dbi, Found, LmdbError, WriteTransaction } from "../../../services/Lmdb.ts"
import type { Environment } from "./NativeEnvironment.ts"
import { dbiMissing, failed, fromNative, keyTooLong } from "./NativeErrors.ts"
import type { Handle } from "./DbiHandles.ts"
import { InPlaceFound } from "./buffers/InPlaceFound.ts"
import { release, setKeyToRead } from "./buffers/SharedBuffers.ts"
import type { PackageDbi } from "./NativePackage.ts"
import type { NativeRead } from "./NativeRead.ts"
import * as Root from "./RootDbi.ts"
import { maxKeyBytes } from "../../../domain/lmdb/Limits.ts"

const isInteger = (length: number): boolean => length === 4 || length === 8

const requireWithin = (bytes: Uint8Array, start: number, end: number): void => {
  if (!(start >= 0 && start <= end && end <= bytes.length))
    throw new RangeError(`bytes ${start} to ${end} of ${bytes.length}`)
}

export class NativeWrite implements WriteTransaction {
  readonly id: bigint
  readonly before: NativeRead
  /** True when something was put, removed, created or dropped. */
  wrote = false
  /** LMDB refuses to commit after a failed put. */
  failure: LmdbError | undefined
  #ended = false
  readonly #environment: Environment
  readonly #handles: Map<DbiName.DbiName, Handle>
  readonly #created = new Set<Handle>()
  readonly #found = new InPlaceFound()
  // The last DBI that was used, which is usually the next one, too.
  #name: DbiName.DbiName | undefined
  #handle: Handle | undefined

  constructor(environment: Environment, id: bigint, before: NativeRead) {
    this.id = id
    this.before = before
    this.#environment = environment
    this.#handles = new Map(before.handles)
  }

  /** Without an open transaction, the package would crash or begin a transaction. */
  #requireOpen(): void {
    if (this.#ended) throw failed(this.#environment.path, "MDB_BAD_TXN", "the write transaction has ended")
  }

  #handleOf(name: DbiName.DbiName): Handle {
    if (name === this.#name) return this.#handle!
    this.#requireOpen()
    const handle = this.#handles.get(name)
    const { path } = this.#environment
    if (handle === undefined) throw dbiMissing(path, name)
    this.#name = name
    this.#handle = handle
    return handle
  }

  #fail(error: unknown, bytes = 0): LmdbError {
    const mapped = fromNative(this.#environment.facts, error, bytes)
    this.failure ??= mapped
    return mapped
  }

  #requireKey(name: DbiName.DbiName, flags: number, key: Uint8Array, start: number, end: number): void {
    requireWithin(key, start, end)
    const length = end - start
    if (length === 0 || length > maxKeyBytes) throw keyTooLong(this.#environment.path, name, key, start, end)
    if ((flags & DbiFlags.INTEGERKEY) !== 0 && !isInteger(length)) {
      throw this.#badSize(name, `a key of ${length} bytes, but with MDB_INTEGERKEY they have 4 or 8`)
    }
  }

  #badSize(name: DbiName.DbiName, problem: string): LmdbError {
    return failed(this.#environment.path, "MDB_BAD_VALSIZE", `DBI "${DbiName.display(name)}": ${problem}`)
  }

  /** LMDB updates the root at commit, so the counts of the DBIs that are open here are read from their handles. */
  readonly dbis = (): ReadonlyArray<Dbi> => {
    this.#requireOpen()
    const { handles, root, toError } = this.#environment
    return handles.dbisOf(Root.list(root, undefined, toError)).map(({ name, flags, entries }) => ({
      name,
      flags,
      entries: this.#handles.get(name)?.dbi.db.stat().entryCount ?? entries
    }))
  }

  readonly create = (name: DbiName.DbiName, flags: number): void => {
    if (this.dbis().some((dbi) => dbi.name === name)) {
      throw failed(this.#environment.path, "MDB_KEYEXIST", `DBI "${DbiName.display(name)}" is there already`)
    }
    if (name.length === 0 || name.length > maxKeyBytes) {
      throw this.#badSize(name, `a name of ${name.length} bytes, but those of DBIs have 1 to ${maxKeyBytes}`)
    }
    try {
      const handle = this.#environment.handles.create(name, flags)
      this.#handles.set(name, handle)
      this.#created.add(handle)
      this.#name = undefined
      this.wrote = true
    } catch (error) {
      throw this.#fail(error)
    }
  }

  readonly get = (name: DbiName.DbiName, key: Uint8Array, start: number, end: number): Found | undefined => {
    const { dbi, flags } = this.#handleOf(name)
    this.#requireKey(name, flags, key, start, end)
    this.#found.forget()
    setKeyToRead(key, start, end)
    try {
      const value = dbi.getBinaryFast(1)
      return value === undefined ? undefined : this.#found.show(value)
    } catch (error) {
      throw this.#fail(error)
    }
  }

  readonly put = (
    name: DbiName.DbiName,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    append: boolean
  ): void => {
    const { dbi, flags } = this.#handleOf(name)
    this.#requireKey(name, flags, key, keyStart, keyEnd)
    requireWithin(value, valueStart, valueEnd)
    if ((flags & DbiFlags.DUPSORT) === 0) {
      this.#store(name, dbi, key, keyStart, keyEnd, value, valueStart, valueEnd, append)
    } else {
      this.#putDuplicate(name, dbi, key, keyStart, keyEnd, value, valueStart, valueEnd)
    }
  }

  #store(
    name: DbiName.DbiName,
    dbi: PackageDbi,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    append: boolean
  ): void {
    this.wrote = true
    let stored
    try {
      stored = this.#environment.instruction.put(dbi, key, keyStart, keyEnd, value, valueStart, valueEnd, append)
    } catch (error) {
      throw this.#fail(error, keyEnd - keyStart + valueEnd - valueStart)
    }
    if (!stored) throw this.#fail(this.#outOfOrder(name))
  }

  /**
   * LMDB refuses an empty value beside other values, but silently drops an existing empty value when another one is put
   * beside it, so both cases are refused here. Values are never appended, because LMDB does not accept a further value
   * of the last key as an append. Key and value are copied, since they may be in the buffers that `get` fills.
   */
  #putDuplicate(
    name: DbiName.DbiName,
    dbi: PackageDbi,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number
  ): void {
    const length = valueEnd - valueStart
    if (length > maxKeyBytes) {
      throw this.#badSize(name, `a value of ${length} bytes, but with MDB_DUPSORT they have at most ${maxKeyBytes}`)
    }
    const ownKey = Uint8Array.from(key.subarray(keyStart, keyEnd))
    const ownValue = Uint8Array.from(value.subarray(valueStart, valueEnd))
    const found = this.get(name, ownKey, 0, ownKey.length)
    if (found !== undefined && (found.valueEnd === found.valueStart) !== (length === 0)) {
      throw this.#badSize(name, "an empty value beside others of its key, which LMDB cannot hold")
    }
    // LMDB does not check this, and would read the existing values with the new size.
    if (
      found !== undefined &&
      (this.#handleOf(name).flags & DbiFlags.DUPFIXED) !== 0 &&
      found.valueEnd - found.valueStart !== length
    ) {
      throw this.#badSize(
        name,
        `a value of ${length} bytes, but others of its MDB_DUPFIXED DBI have ${found.valueEnd - found.valueStart}`
      )
    }
    this.#store(name, dbi, ownKey, 0, ownKey.length, ownValue, 0, length, false)
  }

  #outOfOrder(name: DbiName.DbiName): LmdbError {
    return failed(
      this.#environment.path,
      "MDB_KEYEXIST",
      `DBI "${DbiName.display(name)}": a key was appended that does not come last`
    )
  }

  readonly remove = (name: DbiName.DbiName, key: Uint8Array, start: number, end: number): boolean => {
    const { dbi, flags } = this.#handleOf(name)
    this.#requireKey(name, flags, key, start, end)
    try {
      const removed = this.#environment.instruction.remove(dbi, key, start, end)
      if (removed) this.wrote = true
      return removed
    } catch (error) {
      throw this.#fail(error)
    }
  }

  readonly removePair = (
    name: DbiName.DbiName,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number
  ): boolean => {
    const { dbi, flags } = this.#handleOf(name)
    this.#requireKey(name, flags, key, keyStart, keyEnd)
    requireWithin(value, valueStart, valueEnd)
    try {
      const removed = this.#environment.instruction.removePair(dbi, key, keyStart, keyEnd, value, valueStart, valueEnd)
      if (removed) this.wrote = true
      return removed
    } catch (error) {
      throw this.#fail(error)
    }
  }

  readonly drop = (name: DbiName.DbiName): void => {
    const handle = this.#handleOf(name)
    try {
      handle.closer.dropSync()
    } catch (error) {
      throw this.#fail(error)
    }
    this.#environment.handles.forget(handle)
    this.#created.delete(handle)
    this.#handles.delete(name)
    this.#name = undefined
    this.wrote = true
  }

  /** Closes the cursors and the view. To be called before commit or abort. */
  end(): void {
    this.#ended = true
    this.#name = undefined
    this.#environment.instruction.release()
    release()
    this.before.end()
  }

  /**
   * Makes the new handles available to other transactions. To be called after the commit; on abort, LMDB closes them.
   */
  committed(): void {
    for (const handle of this.#created) this.#environment.handles.adopt(handle)
  }
}
