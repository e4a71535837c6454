/**
 * Handles of DBIs. Opening one takes LMDB's write lock, always, so a handle that fits is kept and used again. A handle
 * of a DBI that another process dropped crashes the process at the next put, and one of a DBI with other flags reads in
 * the wrong order: `fit` tells whether a listing of the root, taken in the transaction that is to use them, has a
 * handle for each record; if not, the transaction is given up, `refresh` called, and it is begun again.
 *
 * A handle that is opened while a transaction is open cannot be used in that one.
 */
import { Semaphore } from "effect"
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { failed, fromNative, isIncompatible, type Facts } from "./NativeErrors.ts"
import { codec } from "./SharedBuffers.ts"
import type { PackageDbi, PackageDbiOptions, PackageRoot } from "./NativePackage.ts"
import type { RootListing, RootRecord } from "./RootDbi.ts"

/**
 * Taken before each begin of a write transaction and each opening of handles, in this thread, over all environments: a
 * second `transactionSync` while one is paused would silently become its child; and waiting for the lock of B with a
 * transaction open in A deadlocks with an application that has B and waits for A.
 */
export const writer = Semaphore.makeUnsafe(1)

export interface Handle {
  readonly name: DbiName.DbiName
  readonly flags: number
  readonly dbi: PackageDbi
  /**
   * A second handle of the package for the same number, to close or drop it with: the package crashes when a cursor
   * goes on over the very one that was closed. Over the other it may: a cursor only follows pages.
   */
  readonly closer: PackageDbi
  /** Its number may be another DBI's by now. */
  closed: boolean
}

export type HandleMap = ReadonlyMap<DbiName.DbiName, Handle>

const flagOptions = (flags: number): Omit<PackageDbiOptions, "name" | "create" | keyof typeof codec> => ({
  reverseKey: (flags & DbiFlags.REVERSEKEY) !== 0,
  dupSort: (flags & DbiFlags.DUPSORT) !== 0,
  keyIsUint32: (flags & DbiFlags.INTEGERKEY) !== 0,
  dupFixed: (flags & DbiFlags.DUPFIXED) !== 0,
  integerDup: (flags & DbiFlags.INTEGERDUP) !== 0,
  reverseDup: (flags & DbiFlags.REVERSEDUP) !== 0
})

/** Open or close nothing but with the permit of `writer`. */
export class Handles {
  readonly #root: PackageRoot
  readonly #facts: Facts
  readonly #handles = new Map<DbiName.DbiName, Handle>()
  /** Entries that LMDB says are no DBI, though they look like one. */
  readonly #others = new Set<DbiName.DbiName>()

  constructor(root: PackageRoot, facts: Facts) {
    this.#root = root
    this.#facts = facts
  }

  /** Without the entries that turned out to be no DBI. */
  dbisOf(listing: RootListing): ReadonlyArray<RootRecord> {
    return this.#others.size === 0 ? listing.records : listing.records.filter(({ name }) => !this.#others.has(name))
  }

  /** Those of the listing, or undefined when one is missing or does not fit. */
  fit(listing: RootListing): HandleMap | undefined {
    const fitting = new Map<DbiName.DbiName, Handle>()
    for (const record of listing.records) {
      const handle = this.#handles.get(record.name)
      if (handle !== undefined && handle.flags === record.flags) fitting.set(record.name, handle)
      else if (handle !== undefined || !this.#others.has(record.name)) return undefined
    }
    return fitting
  }

  /** Closes what is gone or changed, and opens what is missing. */
  refresh(listing: RootListing): void {
    const records = new Map(listing.records.map((record) => [record.name, record]))
    for (const handle of this.#handles.values()) {
      if (records.get(handle.name)?.flags !== handle.flags) this.#close(handle)
    }
    // What is no DBI today may be one tomorrow, but not while its entry is there.
    for (const name of this.#others) if (!records.has(name)) this.#others.delete(name)
    for (const record of listing.records) {
      if (!this.#handles.has(record.name) && !this.#others.has(record.name)) this.#open(record)
    }
  }

  #open(record: RootRecord): void {
    const name = DbiName.toBytes(record.name)
    try {
      const dbi = this.#root.openDB({ ...codec, name, create: false })
      const closer = this.#root.openDB({ ...codec, name, create: false })
      if (dbi === undefined || closer === undefined) return
      this.#handles.set(record.name, { name: record.name, flags: record.flags, dbi, closer, closed: false })
    } catch (error) {
      if (!isIncompatible(error)) throw fromNative(this.#facts, error)
      this.#others.add(record.name)
    }
  }

  #close(handle: Handle): void {
    this.forget(handle)
    void handle.closer.close()
  }

  /** One that was made in a transaction that is committed now. */
  adopt(handle: Handle): void {
    this.#handles.set(handle.name, handle)
  }

  /** After LMDB has closed it by itself, since it was dropped. */
  forget(handle: Handle): void {
    handle.closed = true
    if (this.#handles.get(handle.name) === handle) this.#handles.delete(handle.name)
  }

  /** Makes a DBI in the open write transaction: nobody else's until that is committed. */
  create(name: DbiName.DbiName, flags: number): Handle {
    const given = DbiName.toBytes(name)
    // Once with its flags, which brings encoders of the package's own for integer keys; then with ours: it is the same
    // handle of LMDB's.
    const closer = this.#root.openDB({ ...codec, ...flagOptions(flags), name: given, create: true })
    const dbi = this.#root.openDB({ ...codec, name: given, create: false })
    if (closer === undefined || dbi === undefined)
      throw failed(this.#facts.path, "MDB_NOTFOUND", `DBI ${DbiName.display(name)} is gone after it was made`)
    return { name, flags, dbi, closer, closed: false }
  }
}
