/** A read transaction: one view of the environment, with handles that fit it. */
import type { DbiName } from "../../../domain/lmdb/DbiName.ts"
import type { Cursor, Dbi, ReadTransaction } from "../../../services/Lmdb.ts"
import { InPlaceCursor } from "./NativeCursor.ts"
import type { Environment } from "./NativeEnvironment.ts"
import { dbiMissing, failed } from "./NativeErrors.ts"
import type { HandleMap } from "./DbiHandles.ts"
import type { PackageTransaction } from "./NativePackage.ts"
import * as Root from "./RootDbi.ts"

export class NativeRead implements ReadTransaction {
  readonly id: bigint
  readonly dbis: ReadonlyArray<Dbi>
  readonly records: ReadonlyArray<Root.RootRecord>
  readonly plainKeys: ReadonlyArray<DbiName>
  readonly handles: HandleMap
  readonly #environment: Environment
  readonly #transaction: PackageTransaction
  readonly #cursors = new Set<InPlaceCursor>()
  #open = true

  constructor(
    environment: Environment,
    transaction: PackageTransaction,
    id: bigint,
    listing: Root.RootListing,
    handles: HandleMap
  ) {
    this.id = id
    this.#environment = environment
    this.#transaction = transaction
    environment.views.set(this, performance.now())
    this.handles = handles
    const records = environment.handles.dbisOf(listing)
    this.records = records
    this.dbis = records.map(({ name, flags, entries }) => ({ name, flags, entries }))
    this.plainKeys =
      records.length === listing.records.length
        ? listing.others
        : [...listing.others, ...listing.records.filter((record) => !records.includes(record)).map(({ name }) => name)]
  }

  requireOpen(): void {
    if (!this.#open) throw failed(this.#environment.path, "MDB_BAD_TXN", "the read transaction has ended")
  }

  readonly cursor = (dbi: DbiName, from?: Uint8Array): Cursor => {
    const { path, toError } = this.#environment
    this.requireOpen()
    const handle = this.handles.get(dbi)
    // The DBI was dropped after the view began, and its number may belong to another DBI now.
    if (handle === undefined || handle.closed) throw dbiMissing(path, dbi)
    try {
      const cursor = new InPlaceCursor(handle, this.#transaction, from, this.#environment, (cursor) =>
        this.#cursors.delete(cursor)
      )
      this.#cursors.add(cursor)
      return cursor
    } catch (error) {
      throw toError(error)
    }
  }

  /** May be called more than once. */
  readonly end = (): void => {
    if (!this.#open) return
    this.#open = false
    this.#environment.views.delete(this)
    for (const cursor of this.#cursors) cursor.close()
    this.#transaction.done()
  }
}

/** Returns undefined if handles are missing or do not fit. The caller then refreshes them and tries again. */
export const tryBegin = (environment: Environment): NativeRead | undefined => {
  const { id, transaction } = environment.beginRead()
  try {
    const listing = Root.list(environment.root, transaction, environment.toError)
    const handles = environment.handles.fit(listing)
    if (handles !== undefined) return new NativeRead(environment, transaction, id, listing, handles)
    transaction.done()
    return undefined
  } catch (error) {
    transaction.done()
    throw environment.toError(error)
  }
}
