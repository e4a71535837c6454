/**
 * An open environment: what its transactions share. Opening, reading and writing of it are in files of their own.
 *
 * Guarantees: whenever a transaction begins, data file and lock file are the ones that were opened, and nobody has
 * written without the lock; the id of a read transaction is its own, not one that was read beside it.
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
  /** Undefined when its slot is taken, but no transaction is open. */
  readonly transaction: bigint | undefined
}

/** Lines "pid thread transaction", below a heading; "-" for no transaction. */
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
  /** Views that are open, with the times of performance.now() at which they began. */
  readonly views = new Map<object, number>()
  /** The last id that views were seen to begin with. */
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
      // Pages that are free can be anywhere: without walking the free list this is what is known while a transaction is
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
   * That of a view which begins now, so whoever sees a new id and reads finds what it stands for: the data file is
   * ahead of it while another process waits for the disk in its commit. With no slot for a view it is the data file's.
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
    // Other processes write the two ids while this one reads them, and a processor may show them in another order. What
    // is wrong stays wrong.
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

  /** One of its own: without both resets the package would give out one that it keeps for reading, however old. */
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
   * Of the read transaction that was begun last, which is the newest of this process. It is taken from the table of
   * readers: LMDB's last id can be ahead of it, while another process waits for the disk in its commit (its meta page
   * is there, but readers begin before it), so reading that id before and after would give a view an id whose changes
   * it does not hold.
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

  /** In the table of readers, with this process's id. */
  ownSlots(): number {
    return parseReaders(this.root.readerList()).filter(({ pid }) => pid === process.pid).length
  }

  /**
   * Closes handles of DBIs that are gone or have other flags now, and opens those that are missing. Only with the
   * permit of `writer`.
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
