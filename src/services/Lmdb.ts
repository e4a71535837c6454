/**
 * What the engine needs of one LMDB environment, and nothing more. Every operation runs in the calling thread and
 * blocks it, as LMDB does: the engine decides where to yield, and the `Database` layer decides in which thread that
 * happens.
 *
 * Guarantees: a read transaction is one consistent view. One writer at a time per thread, over all its environments. A
 * write transaction commits as a whole or leaves nothing: a failure or an interruption of its body aborts it. DBIs are
 * looked up in each transaction, so one that another process dropped or made anew is never used through an old handle.
 *
 * Cursors give the entries in the order of the DBI's flags, or fail with KeysNotInOrder: LMDB does not store that an
 * application sorts in another way.
 *
 * Cursors and `get` show entries in place, without a copy: what they show is valid until their next call, or the next
 * `put`. Methods of transactions and cursors are plain functions that throw LmdbError: they are called once per entry.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { DbiName } from "../domain/lmdb/DbiName.ts"

export class Missing extends Schema.TaggedError<Missing>()("Missing", {}) {
  override get message(): string {
    return "there is no such file: start the application that makes it, or set options.create: true"
  }
}
export class NotLmdb extends Schema.TaggedError<NotLmdb>()("NotLmdb", { detail: Schema.String }) {
  override get message(): string {
    return `not an LMDB data file of the v1 format (LMDB 0.9): ${this.detail}. Check the path, and options.no_subdir`
  }
}
/**
 * The package `lmdb` is not the one that scripts/build-lmdb.mjs makes: `format` when other applications cannot open
 * what it writes, else it lacks our patches.
 */
export class WrongBuild extends Schema.TaggedError<WrongBuild>()("WrongBuild", {
  version: Schema.String,
  lacks: Schema.Literals(["format", "patches"]),
  command: Schema.String
}) {
  override get message(): string {
    const problem =
      this.lacks === "format"
        ? "with a data format that other LMDB applications do not have"
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
/** Sizes in bytes; `needed` is a lower bound of what the map must hold. */
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
    return `all ${this.maximum} slots for readers are taken: look for processes that were killed while reading (mdb_stat -rr clears theirs)`
  }
}
export class MapResized extends Schema.TaggedError<MapResized>()("MapResized", {}) {
  override get message(): string {
    return "another process enlarged the map: restart, so that the new size is used"
  }
}
/** The file at the path is another one than the one that is open, or, with `detail`, it was overwritten in place. */
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
/** The lock file at the path is another one than the one that is open. */
export class LockReplaced extends Schema.TaggedError<LockReplaced>()("LockReplaced", { lockFile: Schema.String }) {
  override get message(): string {
    return (
      `the lock file ${this.lockFile} was removed or replaced while it was open, so another process may be using another lock: ` +
      "stop the application and this process, and start both again. Never remove a lock file while the LMDB is open"
    )
  }
}
/**
 * Another process has committed without holding our lock: when two do that at once, commits are lost and the file is
 * damaged.
 */
export class LockBypassed extends Schema.TaggedError<LockBypassed>()("LockBypassed", { detail: Schema.String }) {
  override get message(): string {
    return (
      `another process writes to the data file without holding the same lock: ${this.detail}. Stop the application and this process, ` +
      "give both the same path of the data file, and start them again. MDB_NOLOCK cannot be used beside this process"
    )
  }
}
/** Processes that reach the data file by another path would use another lock file. */
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
    return `the application dropped DBI "${this.dbi}" meanwhile`
  }
}
export class KeyTooLong extends Schema.TaggedError<KeyTooLong>()("KeyTooLong", {
  dbi: Schema.String,
  key: Schema.String
}) {
  override get message(): string {
    return `DBI "${this.dbi}", key 0x${this.key}: keys have 1 to 511 bytes`
  }
}
/**
 * What changed between two views cannot be told: a page is not what LMDB 0.9 would have written. Reading through LMDB
 * is not affected.
 */
export class ChangesUnknown extends Schema.TaggedError<ChangesUnknown>()("ChangesUnknown", { detail: Schema.String }) {
  override get message(): string {
    return `cannot tell from the pages of the data file what has changed: ${this.detail}`
  }
}
/** Keys of a DBI are not in the order that its flags stand for: `key` comes after `before`, both in hexadecimal. */
export class KeysNotInOrder extends Schema.TaggedError<KeysNotInOrder>()("KeysNotInOrder", {
  dbi: Schema.String,
  key: Schema.String,
  before: Schema.String,
  order: Schema.String
}) {
  override get message(): string {
    const advice = this.dbi.startsWith("_sync_shadow_")
      ? "an application with a key order of its own was synced by an earlier version: run drop-shadow"
      : "an application that sets a key order of its own (mdb_set_compare) cannot be synced"
    return (
      `DBI "${this.dbi}", key 0x${this.key}: it comes after key 0x${this.before}, which is not ${this.order}, ` +
      `though by the flags of the DBI that is its order: ${advice}`
    )
  }
}
/** Everything else: I/O errors, a full disk, corruption found by LMDB. `code` as LMDB or the system gives it. */
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

/** Which environment, and how it is opened. Plain data: it crosses to the thread that owns the environment. */
export const LmdbOptions = Schema.Struct({
  /** The data file if `noSubdir`, else the folder of data.mdb. */
  path: Schema.String,
  noSubdir: Schema.Boolean,
  /** Makes the file, and its folder with parents, when there is none. */
  create: Schema.Boolean,
  /** Bytes; 0: that of the file, 1 GiB for one that is made. */
  mapSize: Schema.Number,
  maxDbs: Schema.Int,
  /** Of what is made; less the umask. */
  dirMask: Schema.Int,
  fileMask: Schema.Int
})
export type LmdbOptions = typeof LmdbOptions.Type

export interface Dbi {
  readonly name: DbiName
  /** Persistent MDB_* flags (0x02 to 0x40). */
  readonly flags: number
  readonly entries: number
}

/**
 * The current entry: key `key[keyStart..keyEnd)`, value `value[valueStart..valueEnd)`. Before the first `next` there is
 * none.
 */
export interface ForwardCursor {
  /** To the first entry, then to the one after; false at the end, for ever. */
  readonly next: () => boolean
  readonly key: Uint8Array
  readonly keyStart: number
  readonly keyEnd: number
  readonly value: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
  /**
   * Of two that are walked side by side, the one whose entry is done with: before its next step it shows nothing any
   * more. Saves a copy of the entry.
   */
  readonly forget: () => void
  /** May be called more than once. Ends with its transaction, too. */
  readonly close: () => void
}

export interface Cursor extends ForwardCursor {
  /**
   * To the first entry at or after the key `bytes[start..end)`, forward or back; false when there is none, and from
   * then on, as at the end. The key must not be in a buffer that a cursor shows. The order is checked from there on.
   */
  readonly seek: (bytes: Uint8Array, start: number, end: number) => boolean
}

/** A value in place: `value[valueStart..valueEnd)`. */
export interface Found {
  readonly value: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
}

export interface ReadTransaction {
  /** Id of the last transaction that it sees. */
  readonly id: bigint
  /** In byte order of the names. Root entries that are no DBI are left out. */
  readonly dbis: ReadonlyArray<Dbi>
  /** In the DBI's order, from the first key, or from the first key at or after `from`. */
  readonly cursor: (dbi: DbiName, from?: Uint8Array) => Cursor
}

/** Takes what differs between two views, DBI by DBI. */
export interface ChangeSink {
  /** The keys that follow are of this DBI, as the newer view has it. False: it is passed over. */
  readonly dbi: (dbi: Dbi) => boolean
  /**
   * The entry `key[start..end)` was put, changed or removed; in a DUPSORT DBI, one of its values. `isPresent`: the
   * newer view has it. Valid until it returns. False ends the walk.
   */
  readonly key: (key: Uint8Array, start: number, end: number, isPresent: boolean) => boolean
}

export interface ChangeWalk {
  /** Works until `deadline` (of performance.now); true when all has been reported, or the sink has ended it. */
  readonly run: (deadline: number) => boolean
}

/** Once it has ended, it does nothing but throw. */
export interface WriteTransaction {
  /** Its own id: the last one + 1. */
  readonly id: bigint
  /** The environment as it was when this transaction began: what is put here never shows there. */
  readonly before: ReadTransaction
  /** As it is now, with what this transaction did. */
  readonly dbis: () => ReadonlyArray<Dbi>
  /** Makes a DBI that is not there yet. */
  readonly create: (dbi: DbiName, flags: number) => void
  /** Of the entry `key[start..end)`, as this transaction sees it; undefined when there is none. */
  readonly get: (dbi: DbiName, key: Uint8Array, start: number, end: number) => Found | undefined
  /** `append`: the key is known to come after all keys of the DBI. Keys of 1 to 511 bytes. */
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
  /** False when there was none. In a DUPSORT DBI all values of the key go. */
  readonly remove: (dbi: DbiName, key: Uint8Array, start: number, end: number) => boolean
  /** Of a DUPSORT DBI: removes one pair of key and value. False when there was none. */
  readonly removePair: (
    dbi: DbiName,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number
  ) => boolean
  /** Removes all entries; the DBI stays. */
  readonly clear: (dbi: DbiName) => void
  /** Removes the DBI. */
  readonly drop: (dbi: DbiName) => void
}

export interface Written<A> {
  readonly value: A
  readonly id: bigint
  /**
   * False when nothing was put, removed, created or dropped: LMDB then does not record the transaction, and uses its id
   * again.
   */
  readonly wrote: boolean
  /** From the return of begin to the return of commit. */
  readonly lockHeldMillis: number
}

/** As LMDB counts them: of a DBI with MDB_DUPSORT without the pages of values that have a tree of their own. */
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
  /** Bytes of pages in use, without free ones. */
  readonly used: number
  readonly pageSize: number
  readonly readers: number
  readonly maxReaders: number
  /** For how long the oldest open read transaction of this thread has been open; 0: there is none. */
  readonly oldestReadMillis: number
  /** In byte order of the names, private ones included. */
  readonly dbis: ReadonlyArray<DbiStatistics>
}

export class Lmdb extends Context.Service<
  Lmdb,
  {
    /** Of the data file, absolute. */
    readonly path: string
    /**
     * Id of the last transaction that a view which begins now would see. Cheap. Fails when the data file or the lock
     * file was replaced, and when another process commits without holding the lock.
     */
    readonly lastTransactionId: Effect.Effect<bigint, LmdbError>
    /**
     * Id of the last transaction in the data file: one more than `lastTransactionId` while a commit waits for the disk.
     */
    readonly storedTransactionId: Effect.Effect<bigint, LmdbError>
    /** A consistent view; it ends with the scope. It may live across yields, but never across the network. */
    readonly read: Effect.Effect<ReadTransaction, LmdbError, Scope.Scope>
    /**
     * Tells the sink which entries differ between two views, each once, at a cost that depends on what has changed, not
     * on the size of the environment. Both views must be open until it is done, and `before` since before `after`
     * began. A DBI that only `before` has is left out. Not guaranteed for a DBI whose application sets a comparison
     * function of its own: entries that have not changed may be reported, and an entry twice.
     */
    readonly changes: (
      before: ReadTransaction,
      after: ReadTransaction,
      sink: ChangeSink
    ) => Effect.Effect<ChangeWalk, LmdbError, Scope.Scope>
    /**
     * Runs `body` in a write transaction and commits. The body has no services: it can wait for a turn of the event
     * loop and what it closes over, for nothing else; it must yield every 10 ms or so. Its failure or interruption
     * aborts. Begin and commit are uninterruptible.
     */
    readonly write: <A, E>(
      body: (transaction: WriteTransaction) => Effect.Effect<A, E>
    ) => Effect.Effect<Written<A>, E | LmdbError>
    readonly info: Effect.Effect<LmdbInfo, LmdbError>
    /**
     * Frees the slots of readers whose processes are dead; how many. LMDB does so itself when an environment is opened.
     */
    readonly clearDeadReaders: Effect.Effect<number, LmdbError>
  }
>()("lightningstream/services/Lmdb") {}
