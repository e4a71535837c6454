/**
 * One LMDB environment, as the engine uses it. Every operation runs in the calling thread and blocks it, as LMDB does:
 * the engine decides where to yield, and the `Database` layer decides which thread runs the engine.
 *
 * Guarantees: a read transaction is one consistent view. There is one writer at a time per thread, over all its
 * environments. A write transaction commits as a whole or leaves nothing: a failure or an interruption of its body
 * aborts it. DBIs are looked up in each transaction, so a DBI that another process has dropped or recreated is never
 * used through an old handle.
 *
 * Cursors return the entries in the order that the flags of the DBI imply, or fail with KeysNotInOrder. The check is
 * necessary because LMDB does not record that an application has set a comparison function of its own.
 *
 * Cursors and `get` show entries in place, without a copy, until their next call or the next `put`. Methods of
 * transactions and cursors are plain functions that throw LmdbError, since they are called once per entry.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import { type DbiName, fromText } from "../domain/lmdb/DbiName.ts"
import * as ShadowName from "../domain/lmdb/ShadowName.ts"

export class Missing extends Schema.TaggedError<Missing>()("Missing", {
  /** True if the daemon would create the file, so that the configuration needs no change. */
  isCreatedByDaemon: Schema.optionalKey(Schema.Boolean)
}) {
  override get message(): string {
    return this.isCreatedByDaemon === true
      ? "there is no such file yet: sync and receive create it (options.create: true), but this command does not"
      : "there is no such file: start the application that creates it, or set options.create: true"
  }
}
export class NotLmdb extends Schema.TaggedError<NotLmdb>()("NotLmdb", { detail: Schema.String }) {
  override get message(): string {
    return `not an LMDB data file of the v1 format (LMDB 0.9): ${this.detail}. Check the path, and options.no_subdir`
  }
}
/**
 * The package `lmdb` was not built by scripts/build-lmdb.mjs. It lacks the data `format` of LMDB 0.9, so that other
 * applications cannot open what it writes, or it lacks our `patches`.
 */
export class WrongBuild extends Schema.TaggedError<WrongBuild>()("WrongBuild", {
  version: Schema.String,
  lacks: Schema.Literals(["format", "patches"]),
  command: Schema.String
}) {
  override get message(): string {
    const problem =
      this.lacks === "format"
        ? "with a data format that other LMDB applications do not use"
        : "without the patches of this version of lightningstream, which correct faults of LMDB"
    return `the package lmdb was built as ${this.version}, ${problem}. Run: ${this.command}`
  }
}
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>()("PermissionDenied", {
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.detail}: this user must be able to read and write the data file and the lock file: run as the application's user or group`
  }
}
/** The map is full. Sizes are in bytes; `needed` is a lower bound of the size that the map must have. */
export class MapFull extends Schema.TaggedError<MapFull>()("MapFull", {
  mapSize: Schema.Number,
  used: Schema.Number,
  needed: Schema.Number
}) {
  override get message(): string {
    return (
      `the map is full: ${this.used} of ${this.mapSize} bytes used, at least ${this.needed} needed: ` +
      "raise the application's map size and options.map_size, and restart both"
    )
  }
}
export class ReadersFull extends Schema.TaggedError<ReadersFull>()("ReadersFull", { maximum: Schema.Int }) {
  override get message(): string {
    return `all ${this.maximum} reader slots are in use: look for processes that were killed while reading (mdb_stat -rr frees their slots)`
  }
}
export class MapResized extends Schema.TaggedError<MapResized>()("MapResized", {}) {
  override get message(): string {
    return "another process enlarged the map: restart, so that the new size is used"
  }
}
/** The path no longer leads to the data file that is open. With `detail`, the file was overwritten in place instead. */
export class Replaced extends Schema.TaggedError<Replaced>()("Replaced", {
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    return this.detail === undefined
      ? "the data file was replaced or removed while it was open: restart, so that the new one is used"
      : `the data file was overwritten while it was open: ${this.detail}. Stop the application and this process, ` +
          "check the file, and start both again. Restore a backup only while neither of them runs"
  }
}
/** The path no longer leads to the lock file that is open. */
export class LockReplaced extends Schema.TaggedError<LockReplaced>()("LockReplaced", { lockFile: Schema.String }) {
  override get message(): string {
    return (
      `the lock file ${this.lockFile} was removed or replaced while it was open, so another process may use a different lock: ` +
      "stop the application and this process, and start both again. Never remove a lock file while the LMDB is open"
    )
  }
}
/**
 * Another process has committed without holding our lock. When two processes write at once, commits are lost and the
 * file is damaged.
 */
export class LockBypassed extends Schema.TaggedError<LockBypassed>()("LockBypassed", { detail: Schema.String }) {
  override get message(): string {
    return (
      `another process writes to the data file without holding the same lock: ${this.detail}. Stop the application and this process, ` +
      "give both the same path of the data file, and start them again. MDB_NOLOCK cannot be used beside this process"
    )
  }
}
/** Processes that open the data file by another path would use another lock file. */
export class UnsafePath extends Schema.TaggedError<UnsafePath>()("UnsafePath", { detail: Schema.String }) {
  override get message(): string {
    return (
      `unsafe path: ${this.detail}. LMDB names the lock file after the path, so two processes could write at once and ` +
      "damage the file"
    )
  }
}
export class DbiMissing extends Schema.TaggedError<DbiMissing>()("DbiMissing", { dbi: Schema.String }) {
  override get message(): string {
    return `the application has dropped DBI "${this.dbi}" in the meantime`
  }
}
export class KeyTooLong extends Schema.TaggedError<KeyTooLong>()("KeyTooLong", {
  dbi: Schema.String,
  key: Schema.String
}) {
  override get message(): string {
    return `DBI "${this.dbi}", key 0x${this.key}: a key must have 1 to 511 bytes`
  }
}
/**
 * The changes between two views cannot be determined: a page is not as LMDB 0.9 writes it. Reading through LMDB is not
 * affected.
 */
export class ChangesUnknown extends Schema.TaggedError<ChangesUnknown>()("ChangesUnknown", { detail: Schema.String }) {
  override get message(): string {
    return `cannot determine from the pages of the data file what has changed: ${this.detail}`
  }
}
/** Keys of a DBI are not in the order that its flags imply: `key` follows `before`, both in hexadecimal. */
export class KeysNotInOrder extends Schema.TaggedError<KeysNotInOrder>()("KeysNotInOrder", {
  dbi: Schema.String,
  key: Schema.String,
  before: Schema.String,
  order: Schema.String
}) {
  override get message(): string {
    const advice = ShadowName.isShadow(fromText(this.dbi))
      ? "an application with a key order of its own was synced by an earlier version: run drop-shadow"
      : "an application that sets a key order of its own (mdb_set_compare) cannot be synced"
    return (
      `DBI "${this.dbi}", key 0x${this.key}: it follows key 0x${this.before}, which is not ${this.order}, ` +
      `the order that the flags of the DBI imply: ${advice}`
    )
  }
}
/** Any other failure: I/O errors, a full disk, corruption found by LMDB. `code` comes from LMDB or the system. */
export class LmdbFailure extends Schema.TaggedError<LmdbFailure>()("LmdbFailure", {
  code: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `LMDB failed with ${this.code}: ${this.detail}`
  }
}

export class LmdbError extends Schema.TaggedError<LmdbError>()("LmdbError", {
  path: Schema.String,
  reason: Schema.Union([
    Missing,
    NotLmdb,
    WrongBuild,
    PermissionDenied,
    MapFull,
    ReadersFull,
    MapResized,
    Replaced,
    LockReplaced,
    LockBypassed,
    UnsafePath,
    DbiMissing,
    KeyTooLong,
    ChangesUnknown,
    KeysNotInOrder,
    LmdbFailure
  ])
}) {
  override get message(): string {
    return `LMDB ${this.path}: ${this.reason.message}`
  }
  get retryable(): boolean {
    return (
      this.reason._tag === "MapFull" ||
      this.reason._tag === "ReadersFull" ||
      this.reason._tag === "Missing" ||
      this.reason._tag === "DbiMissing"
    )
  }
}

/** Path and options of an environment. They are plain data, which can be sent to the thread that opens it. */
export const LmdbOptions = Schema.Struct({
  /** Path of the data file if `noSubdir` is set, otherwise of the directory that contains data.mdb. */
  path: Schema.String,
  noSubdir: Schema.Boolean,
  /** Whether to create a missing file, with its directory and the parents of that. */
  create: Schema.Boolean,
  /** True if `create` is not set only because this command leaves the creation to the daemon (`withoutCreating`). */
  isCreatedByDaemon: Schema.optionalKey(Schema.Boolean),
  /** Map size in bytes. 0 stands for the size of the existing file, or 1 GiB for a new one. */
  mapSize: Schema.Number,
  maxDbs: Schema.Int,
  /** Permissions of created directories and files, before the umask is applied. */
  dirMask: Schema.Int,
  fileMask: Schema.Int
})
export type LmdbOptions = typeof LmdbOptions.Type

/** Returns the options of a command that never creates a file, though the daemon may. */
export const withoutCreating = (options: LmdbOptions): LmdbOptions => ({
  ...options,
  create: false,
  isCreatedByDaemon: options.create
})

export interface Dbi {
  readonly name: DbiName
  /** Persistent MDB_* flags (0x02 to 0x40). */
  readonly flags: number
  readonly entries: number
}

/**
 * A cursor and its current entry, whose key is `key[keyStart..keyEnd)` and whose value is
 * `value[valueStart..valueEnd)`. There is no current entry before the first `next`.
 */
export interface ForwardCursor {
  /** Moves to the first entry, then to the next one. Returns false at the end, and in all calls after that. */
  readonly next: () => boolean
  readonly key: Uint8Array
  readonly keyStart: number
  readonly keyEnd: number
  readonly value: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
  /**
   * Gives up the current entry, which then need not be copied when another cursor of the same transaction moves.
   */
  readonly forget: () => void
  /** Closes the cursor. It may be called more than once. The end of the transaction closes it, too. */
  readonly close: () => void
}

export interface Cursor extends ForwardCursor {
  /**
   * Moves to the first entry at or after the key `bytes[start..end)`, forward or backward. Returns false if there is
   * none; the cursor is then at its end. The key must not be in a buffer that a cursor shows. The order of the keys is
   * checked from the new position on.
   */
  readonly seek: (bytes: Uint8Array, start: number, end: number) => boolean
}

/** The value `value[valueStart..valueEnd)`, in place. */
export interface Found {
  readonly value: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
}

export interface ReadTransaction {
  /** Id of the last transaction that this view contains. */
  readonly id: bigint
  /** DBIs in byte order of their names. Entries of the root that are not DBIs are left out. */
  readonly dbis: ReadonlyArray<Dbi>
  /** Keys of entries of the root that are not DBIs. No DBI can be created with such a name. */
  readonly plainKeys: ReadonlyArray<DbiName>
  /** Opens a cursor in the DBI's order, at the first key, or at the first key at or after `from`. */
  readonly cursor: (dbi: DbiName, from?: Uint8Array) => Cursor
}

/** Receives the differences between two views, DBI by DBI. */
export interface ChangeSink {
  /** Announces the DBI of the keys that follow, as the newer view has it. Returns false to skip it. */
  readonly dbi: (dbi: Dbi) => boolean
  /**
   * Reports that the entry with the key `key[start..end)` was put, changed or removed, or, in a DUPSORT DBI, one of its
   * values. `isPresent` tells whether the newer view has the entry. The bytes are valid until this function returns.
   * Returns false to skip the rest of the DBI.
   */
  readonly key: (key: Uint8Array, start: number, end: number, isPresent: boolean) => boolean
  /**
   * Reports from time to time which share of the DBI has been compared: 1 stands for all of the pages that differ. All
   * differences in that share have been reported. Returns false to skip the rest of the DBI.
   */
  readonly compared?: (share: number) => boolean
}

export interface ChangeWalk {
  /**
   * Continues until `deadline`, a time of performance.now(). Returns true when everything has been reported that the
   * sink has not skipped.
   */
  readonly run: (deadline: number) => boolean
}

/** A write transaction. Every method throws after its end. */
export interface WriteTransaction {
  /** Id of this transaction: the id of the last transaction + 1. */
  readonly id: bigint
  /** The environment as it was when this transaction began. It never shows what is put here. */
  readonly before: ReadTransaction
  /** DBIs as they are now, with the changes of this transaction. */
  readonly dbis: () => ReadonlyArray<Dbi>
  /** Creates a DBI that does not exist. */
  readonly create: (dbi: DbiName, flags: number) => void
  /** Returns the value of the entry `key[start..end)` as this transaction sees it, or undefined. */
  readonly get: (dbi: DbiName, key: Uint8Array, start: number, end: number) => Found | undefined
  /**
   * Puts an entry, whose key must have 1 to 511 bytes. `append` may be set only when the key comes after all keys of
   * the DBI.
   */
  readonly put: (
    dbi: DbiName,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    append: boolean
  ) => void
  /** Removes an entry, or all values of the key in a DUPSORT DBI. Returns false if there was none. */
  readonly remove: (dbi: DbiName, key: Uint8Array, start: number, end: number) => boolean
  /** Removes one pair of key and value from a DUPSORT DBI. Returns false if there was none. */
  readonly removePair: (
    dbi: DbiName,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number
  ) => boolean
  /** Removes a DBI. */
  readonly drop: (dbi: DbiName) => void
}

export interface Written<A> {
  readonly value: A
  readonly id: bigint
  /**
   * False if nothing was put, removed, created or dropped. LMDB does not record such a transaction and uses its id
   * again.
   */
  readonly wrote: boolean
  /** Time from the return of begin to the return of commit. */
  readonly lockHeldMillis: number
}

/**
 * Statistics of a DBI as LMDB counts them. With MDB_DUPSORT, pages of values that have a tree of their own are not
 * included.
 */
export const DbiStatistics = Schema.Struct({
  name: Schema.String,
  flags: Schema.Int,
  entries: Schema.Number,
  depth: Schema.Int,
  branchPages: Schema.Number,
  leafPages: Schema.Number,
  overflowPages: Schema.Number
})
export type DbiStatistics = typeof DbiStatistics.Type

export interface LmdbInfo {
  readonly lastTransactionId: bigint
  readonly mapSize: number
  readonly fileSize: number
  /** Bytes of pages in use, without free pages. */
  readonly used: number
  readonly pageSize: number
  readonly readers: number
  readonly maxReaders: number
  /** Age of the oldest open read transaction of this thread, or 0 if none is open. */
  readonly oldestReadMillis: number
  /** DBIs in byte order of their names, including our own. */
  readonly dbis: ReadonlyArray<DbiStatistics>
}

export class Lmdb extends Context.Service<
  Lmdb,
  {
    /** Absolute path of the data file. */
    readonly path: string
    /**
     * Id of the last transaction that a read transaction would see if it began now. Reading it is cheap. It fails when
     * the data file or the lock file was replaced, and when another process commits without holding the lock.
     */
    readonly lastTransactionId: Effect.Effect<bigint, LmdbError>
    /**
     * Id of the last transaction in the data file. It is one more than `lastTransactionId` while a commit waits for the
     * disk.
     */
    readonly storedTransactionId: Effect.Effect<bigint, LmdbError>
    /**
     * Begins a read transaction, which ends with the scope. It may stay open while the fiber yields, but never while
     * the fiber waits for the network.
     */
    readonly read: Effect.Effect<ReadTransaction, LmdbError, Scope.Scope>
    /**
     * Reports each entry that differs between two views once. The cost depends on the changes, not on the size of the
     * environment. Both views must stay open until the walk is done, and `before` must have begun before `after`. A DBI
     * that only `before` has is left out. In a DBI whose application sets its own comparison function, unchanged
     * entries may be reported, and an entry may be reported twice.
     */
    readonly changes: (
      before: ReadTransaction,
      after: ReadTransaction,
      sink: ChangeSink
    ) => Effect.Effect<ChangeWalk, LmdbError, Scope.Scope>
    /**
     * Runs `body` in a write transaction and commits. The body requires no services, so it can wait only for a turn of
     * the event loop and for what it closes over. It must yield about every 10 ms. Its failure or interruption aborts
     * the transaction. Begin and commit are uninterruptible.
     */
    readonly write: <A, E>(
      body: (transaction: WriteTransaction) => Effect.Effect<A, E>
    ) => Effect.Effect<Written<A>, E | LmdbError>
    readonly info: Effect.Effect<LmdbInfo, LmdbError>
    /**
     * Frees the reader slots of dead processes and returns their number. LMDB does this itself when it opens an
     * environment.
     */
    readonly clearDeadReaders: Effect.Effect<number, LmdbError>
  }
>()("lightningstream/services/Lmdb") {}
