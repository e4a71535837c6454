/**
 * The state of an open environment that its transactions share. Opening, reading and writing are in files of their own.
 *
 * Guarantees: whenever a transaction begins, the data file and the lock file are those that were opened, and no process
 * has written without the lock. The id of a read transaction is the transaction's own, not one that was read beside it.
 */
// @effect-diagnostics-next-line nodeBuiltinImport:off -- LMDB itself is synchronous, and what it is told must be true at that moment
import * as fs from "node:fs"
import { type DbiStatistics, type LmdbInfo, LmdbError, type LmdbOptions, ReadersFull } from "../../../services/Lmdb.ts"
import type { LockProblem } from "./lock/CommitIds.ts"
import { LockGuard } from "./lock/LockGuard.ts"
import type { OpenFiles } from "./lock/OpenFiles.ts"
import * as DbiName from "../../../domain/lmdb/DbiName.ts"
import { failed, fromNative, type Facts } from "./NativeErrors.ts"
import { type Identity, type Meta, readMeta } from "./DataFile.ts"
import { Handles } from "./DbiHandles.ts"
import { Instruction } from "./WriteInstruction.ts"
import type { PackageRoot, PackageTransaction } from "./NativePackage.ts"
import * as Root from "./RootDbi.ts"

export interface Reader {
  readonly pid: number
  /** Undefined if the slot is taken but no transaction is open. */
  readonly transaction: bigint | undefined
}

/** Parses the lines "pid thread transaction" below a heading, in which "-" stands for no transaction. */
export const parseReaders = (list: string): ReadonlyArray<Reader> =>
  list.split("\n").flatMap((line) => {
    const match = /^\s*(\d+) [0-9a-f]+ (\d+|-)$/.exec(line)
    return match === null
      ? []
      : [{ pid: Number(match[1]), transaction: match[2] === "-" ? undefined : BigInt(match[2]!) }]
  })

/** A read transaction that has begun. */
export interface View {
  readonly transaction: PackageTransaction
  readonly id: bigint
}

export class Environment {
  readonly path: string
  readonly root: PackageRoot
  readonly handles: Handles
  readonly instruction: Instruction
  readonly facts: Facts
  readonly identity: Identity
  readonly guard: LockGuard
  /** Open views, with the times (of performance.now) at which they began. */
  readonly views = new Map<object, number>()
  /** The last id that a new view was seen to have. */
  #viewed = -1n

  constructor(options: LmdbOptions, files: OpenFiles, identity: Identity, root: PackageRoot) {
    this.path = files.dataFile
    this.root = root
    this.guard = new LockGuard(files, () => BigInt(root.env.info().lastTxnId))
    this.identity = identity
    this.facts = {
      path: this.path,
      maxDbs: options.maxDbs,
      pageSize: this.#meta().pageSize,
      maxReaders: () => root.env.info().maxReaders,
      mapSize: () => root.env.info().mapSize,
      // Free pages can be anywhere. Without a walk over the free list, this is all that is known while a transaction is
      // open.
      used: () => (root.env.info().lastPageNumber + 1) * this.facts.pageSize,
      enlarged: () => this.#meta().mapSize > root.env.info().mapSize
    }
    this.handles = new Handles(root, this.facts)
    this.instruction = new Instruction(root)
  }

  readonly toError = (error: unknown): LmdbError => fromNative(this.facts, error)

  readonly requireSame = (): void => this.guard.requireSame()

  #meta(): Meta {
    const meta = readMeta(this.path)
    if (meta === undefined) throw failed(this.path, "empty", "the data file is empty")
    return meta
  }

  /**
   * Returns the id that a view has which begins now, so that a caller that sees a new id and then reads finds its
   * content. The data file is ahead of that id while another process waits for the disk in its commit. Without a slot
   * for a view, returns the id in the data file.
   */
  lastTransactionId(): bigint {
    const stored = this.guard.stored()
    if (stored !== this.#viewed) {
      const id = this.#idOfView()
      if (id === undefined) return stored
      this.#viewed = id
    }
    this.guard.note(stored, this.#viewed)
    return this.#viewed
  }

  #idOfView(): bigint | undefined {
    try {
      return this.#inView(({ id }) => id)
    } catch (error) {
      if (error instanceof LmdbError && error.reason instanceof ReadersFull) return undefined
      throw error
    }
  }

  beginRead(): View {
    let view = this.#tryBeginRead()
    // Other processes write the two ids while this one reads them, and a processor may show them in another order. The
    // check is repeated, because a real violation persists.
    if ("_tag" in view) view = this.#tryBeginRead()
    if ("_tag" in view) throw this.guard.errorOf(view)
    return view
  }

  #tryBeginRead(): View | LockProblem {
    const stored = this.guard.stored()
    const transaction = this.#begin()
    try {
      const id = this.#newestReaderId()
      const problem = this.guard.problemOfView(stored, id)
      if (problem === undefined) return { transaction, id }
      transaction.done()
      return problem
    } catch (error) {
      transaction.done()
      throw this.toError(error)
    }
  }

  /** Begins a transaction of its own. Without both resets, the package would return one that it keeps, however old. */
  #begin(): PackageTransaction {
    try {
      this.root.resetReadTxn()
      return this.root.useReadTransaction()
    } catch (error) {
      throw this.toError(error)
    } finally {
      this.root.resetReadTxn()
    }
  }

  #inView<A>(use: (view: View) => A): A {
    const view = this.beginRead()
    try {
      return use(view)
    } finally {
      view.transaction.done()
    }
  }

  /**
   * Returns the id of the read transaction that was begun last, which is the newest of this process, from the reader
   * table. LMDB's last id can be ahead of it while another process waits for the disk in its commit: the meta page is
   * written, but readers begin before it. Reading that id before and after would therefore give a view an id whose
   * changes it does not contain.
   */
  #newestReaderId(): bigint {
    let newest: bigint | undefined
    for (const { pid, transaction } of parseReaders(this.root.readerList())) {
      if (pid === process.pid && transaction !== undefined && (newest === undefined || transaction > newest))
        newest = transaction
    }
    if (newest === undefined) throw failed(this.path, "MDB_BAD_RSLOT", "this process is not in the table of readers")
    return newest
  }

  /** Returns the entries of the reader table that have this process's id. */
  ownSlots(): number {
    return parseReaders(this.root.readerList()).filter(({ pid }) => pid === process.pid).length
  }

  /**
   * Closes handles of DBIs that were dropped or have other flags now, and opens the missing ones. Requires the permit
   * of `writer`.
   */
  refreshHandles(): void {
    this.handles.refresh(this.#inView(({ transaction }) => Root.list(this.root, transaction, this.toError)))
  }

  #statistics(): ReadonlyArray<DbiStatistics> {
    const { records } = this.#inView(({ transaction }) => Root.list(this.root, transaction, this.toError))
    return records.map(({ branchPages, depth, entries, flags, leafPages, name, overflowPages }) => ({
      name: DbiName.display(name),
      flags,
      entries,
      depth,
      branchPages,
      leafPages,
      overflowPages
    }))
  }

  info(): LmdbInfo {
    const lastTransactionId = this.lastTransactionId()
    const { mapSize, maxReaders } = this.root.env.info()
    const meta = this.#meta()
    const dbis = this.#statistics()
    const pages = dbis.reduce(
      (sum, { branchPages, leafPages, overflowPages }) => sum + branchPages + leafPages + overflowPages,
      meta.ownPages
    )
    const oldestView = Math.min(...this.views.values())
    return {
      lastTransactionId,
      mapSize,
      fileSize: fs.statSync(this.path).size,
      used: pages * meta.pageSize,
      pageSize: meta.pageSize,
      readers: parseReaders(this.root.readerList()).length,
      maxReaders,
      oldestReadMillis: oldestView === Infinity ? 0 : performance.now() - oldestView,
      dbis
    }
  }
}
