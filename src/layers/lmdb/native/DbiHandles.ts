/**
 * Handles of DBIs. Opening a handle always takes LMDB's write lock, so handles are kept and reused while they fit. A
 * handle of a DBI that another process dropped crashes the process at the next put, and a handle with outdated flags
 * reads in the wrong order. Each transaction therefore lists the root, and `fit` checks that there is a handle for each
 * record. If not, the transaction is abandoned, `refresh` is called, and the transaction is begun again.
 *
 * A handle that was opened during a transaction cannot be used in that transaction.
 */
import { Semaphore } from "effect"
import * as DbiFlags from "../../../domain/lmdb/DbiFlags.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { beginFailed, failed, fromNative, isIncompatible, type Facts } from "./NativeErrors.ts"
import { codec } from "./buffers/SharedBuffers.ts"
import type { PackageDbi, PackageDbiOptions, PackageRoot } from "./NativePackage.ts"
import type { RootListing, RootRecord } from "./RootDbi.ts"

/**
 * Held while a write transaction is begun and while handles are opened, in this thread, over all environments. Without
 * it, a second `transactionSync` would silently become the child of one that is paused. Waiting for the lock of B with
 * a transaction open in A would deadlock with an application that holds B and waits for A.
 */
export const writer = Semaphore.makeUnsafe(1)

export interface Handle {
  readonly name: DbiName.DbiName
  readonly flags: number
  readonly dbi: PackageDbi
  /**
   * A second handle of the package for the same DBI number, which is used to close or drop it. The package crashes when
   * a cursor moves after its own handle was closed, but not after another handle was, since a cursor only follows
   * pages.
   */
  readonly closer: PackageDbi
  /** True when the number may belong to another DBI by now. */
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

/** The caller must hold the permit of `writer` to open or close handles. */
export class Handles {
  readonly #root: PackageRoot
  readonly #facts: Facts
  readonly #handles = new Map<DbiName.DbiName, Handle>()
  /** Entries that look like DBIs, but that LMDB does not accept as such. */
  readonly #others = new Set<DbiName.DbiName>()

  constructor(root: PackageRoot, facts: Facts) {
    this.#root = root
    this.#facts = facts
  }

  /** Returns the records without the entries that turned out not to be DBIs. */
  dbisOf(listing: RootListing): ReadonlyArray<RootRecord> {
    return this.#others.size === 0 ? listing.records : listing.records.filter(({ name }) => !this.#others.has(name))
  }

  /** Returns the handles of the listing, or undefined when one is missing or does not fit. */
  fit(listing: RootListing): HandleMap | undefined {
    const fitting = new Map<DbiName.DbiName, Handle>()
    for (const record of listing.records) {
      const handle = this.#handles.get(record.name)
      if (handle !== undefined && handle.flags === record.flags) fitting.set(record.name, handle)
      else if (handle !== undefined || !this.#others.has(record.name)) return undefined
    }
    return fitting
  }

  /** Closes the handles of DBIs that were dropped or have changed, and opens the missing ones. */
  refresh(listing: RootListing): void {
    const records = new Map(listing.records.map((record) => [record.name, record]))
    for (const handle of this.#handles.values()) {
      if (records.get(handle.name)?.flags !== handle.flags) this.#close(handle)
    }
    // An entry cannot become a DBI while it exists, but a DBI of the same name may be created after its removal.
    for (const name of this.#others) if (!records.has(name)) this.#others.delete(name)
    const missing = listing.records.filter(({ name }) => !this.#handles.has(name) && !this.#others.has(name))
    if (missing.length > 0) this.#openAll(missing)
  }

  /**
   * Opens handles in one write transaction. The package does not check that the transaction has begun in which it opens
   * a handle, and crashes the process if it has not, for example because another process has enlarged the map.
   */
  #openAll(records: ReadonlyArray<RootRecord>): void {
    const opened: Array<Handle> = []
    this.#root.transactionSync((): void => {
      if (this.#root.getWriteTxnId() === 0) throw beginFailed(this.#facts)
      for (const record of records) {
        const handle = this.#open(record)
        if (handle !== undefined) opened.push(handle)
      }
    })
    for (const handle of opened) this.adopt(handle)
  }

  #open({ flags, name }: RootRecord): Handle | undefined {
    const given = DbiName.toBytes(name)
    try {
      const dbi = this.#root.openDB({ ...codec, name: given, create: false })
      const closer = this.#root.openDB({ ...codec, name: given, create: false })
      if (dbi !== undefined && closer !== undefined) return { name, flags, dbi, closer, closed: false }
    } catch (error) {
      if (!isIncompatible(error)) throw fromNative(this.#facts, error)
      this.#others.add(name)
    }
    return undefined
  }

  #close(handle: Handle): void {
    this.forget(handle)
    void handle.closer.close()
  }

  /** Adds a handle that was made in a transaction that has been committed. */
  adopt(handle: Handle): void {
    this.#handles.set(handle.name, handle)
  }

  /** Removes a handle that LMDB closed when the DBI was dropped. */
  forget(handle: Handle): void {
    handle.closed = true
    if (this.#handles.get(handle.name) === handle) this.#handles.delete(handle.name)
  }

  /** Creates a DBI in the open write transaction. Its handle is private to that transaction until the commit. */
  create(name: DbiName.DbiName, flags: number): Handle {
    const given = DbiName.toBytes(name)
    // Opened twice, which returns the same LMDB handle: first with the flags, for which the package sets its own
    // encoders for integer keys, then with our encoders.
    const closer = this.#root.openDB({ ...codec, ...flagOptions(flags), name: given, create: true })
    const dbi = this.#root.openDB({ ...codec, name: given, create: false })
    if (closer === undefined || dbi === undefined)
      throw failed(this.#facts.path, "MDB_NOTFOUND", `DBI ${DbiName.display(name)} is gone after it was made`)
    return { name, flags, dbi, closer, closed: false }
  }
}
