/**
 * One LMDB environment as the main thread sees it, through operations coarse enough to cross a thread: a call lasts
 * milliseconds to minutes, never one entry.
 *
 * Guarantees: interrupting a call stops the engine at its next yield, and the interruption is complete only when the
 * engine's finalizers have run, so whatever the caller releases after it is really unused. Errors are typed in
 * whichever thread they arise. A merge is applied as a whole or not at all (unless `mergeLockMillis` says otherwise),
 * also when it is interrupted. Not guaranteed: when a call that waits for LMDB's write lock is interrupted, it returns
 * when the lock was had.
 */
import { Context, type Effect, Schema } from "effect"
import { CompressionError } from "./Compression.ts"
import { DbiStatistics, LmdbError, LmdbOptions } from "./Lmdb.ts"
import { Spooled, SpoolError, SpoolPlace } from "./Spool.ts"

/** A value in the LMDB has no native header: the application's schema is another one. */
export class NotNative extends Schema.TaggedError<NotNative>()("NotNative", {
  dbi: Schema.String,
  /** Hexadecimal. */
  key: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return (
      `DBI "${this.dbi}", key 0x${this.key}: ${this.problem}: the values have no native header. ` +
      "If the application does not write it, set schema_tracks_changes: false"
    )
  }
}

/** A local DBI has flags that this mode cannot represent. */
export class UnsupportedDbi extends Schema.TaggedError<UnsupportedDbi>()("UnsupportedDbi", {
  dbi: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `DBI "${this.dbi}" cannot be synced: ${this.problem}`
  }
}

/** The bytes are no valid snapshot; another download may be. */
export class CorruptSnapshot extends Schema.TaggedError<CorruptSnapshot>()("CorruptSnapshot", {
  problem: Schema.String
}) {
  override get message(): string {
    return `the snapshot is corrupt: ${this.problem}`
  }
}

/** Valid, but this version, mode or configuration must not merge it. */
export class RefusedSnapshot extends Schema.TaggedError<RefusedSnapshot>()("RefusedSnapshot", {
  problem: Schema.String
}) {
  override get message(): string {
    return `the snapshot is refused: ${this.problem}`
  }
}

/** Two databases of the configuration are one file: one handle per path and process, or commits are lost. */
export class OpenedTwice extends Schema.TaggedError<OpenedTwice>()("OpenedTwice", {
  path: Schema.String,
  other: Schema.String
}) {
  override get message(): string {
    return `${this.path} is the same data file as that of database "${this.other}": give each its own path, or remove one of them`
  }
}

/**
 * The thread that ran the engine is gone. Its environments are still open in the process: only a new process may open
 * them again.
 */
export class WorkerLost extends Schema.TaggedError<WorkerLost>()("WorkerLost", { detail: Schema.String }) {
  override get message(): string {
    return `the worker thread ended while the call was pending (${this.detail})`
  }
}

export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  database: Schema.String,
  operation: Schema.Literals(["open", "changes", "dump", "merge", "sweep", "newest", "mark", "info"]),
  reason: Schema.Union([
    LmdbError,
    NotNative,
    UnsupportedDbi,
    CorruptSnapshot,
    RefusedSnapshot,
    CompressionError,
    SpoolError,
    OpenedTwice,
    WorkerLost
  ])
}) {
  override get message(): string {
    return `${this.operation} of database "${this.database}": ${this.reason.message}`
  }
  /** What the caller does about it: design of the reactions in docs/sync.md. */
  get reaction(): "set aside: corrupt" | "set aside: refused" | "wait: map full" | "wait: missing" | "retry" | "end" {
    switch (this.reason._tag) {
      case "CorruptSnapshot":
      case "CompressionError":
        return "set aside: corrupt"
      case "RefusedSnapshot":
        return "set aside: refused"
      case "SpoolError":
        return "retry"
      case "LmdbError":
        if (this.reason.reason._tag === "MapFull") return "wait: map full"
        if (this.reason.reason._tag === "Missing") return "wait: missing"
        return this.reason.retryable ? "retry" : "end"
      default:
        return "end"
    }
  }
  get retryable(): boolean {
    return this.reaction === "retry" || this.reaction === "wait: map full" || this.reaction === "wait: missing"
  }
}

/** How one environment is opened and synced. Plain data: it crosses to the thread that owns the environment. */
export const DatabaseOptions = Schema.Struct({
  /** The key under `lmdbs` in the configuration. */
  name: Schema.String,
  lmdb: LmdbOptions,
  /** Shadow mode (`schema_tracks_changes: false`); absent: native mode. */
  shadow: Schema.optionalKey(
    Schema.Struct({
      dupsortHack: Schema.Boolean,
      /** `override_create_flags`, by the DBI's name as in the configuration. */
      createFlags: Schema.Record(Schema.String, Schema.Int)
    })
  ),
  /** `header_extra_padding_block`. */
  paddingBlock: Schema.Boolean,
  /** `merge_lock_duration`; 0: a snapshot is applied in one transaction. */
  mergeLockMillis: Schema.Number
})
export type DatabaseOptions = typeof DatabaseOptions.Type

export const SnapshotFormat = Schema.Literals(["gzip", "zstd"])
export type SnapshotFormat = typeof SnapshotFormat.Type

/** What is known of the keys that have changed. */
export const Tracking = Schema.Struct({
  /** How long the read transaction has been open from which on changes are known: it keeps pages from being reused. */
  pinMillis: Schema.Number,
  pendingKeys: Schema.Number,
  pendingBytes: Schema.Number,
  /** How often it was not known, and everything had to be looked at. */
  givenUp: Schema.Number
})

/** Ids of LMDB transactions. */
export class Changes extends Schema.Class<Changes>("Changes")({
  last: Schema.BigInt,
  /** The last one in the data file: more than `last` while a commit is under way that cannot be read yet. */
  stored: Schema.BigInt,
  /**
   * An upper bound of the last transaction that was not ours, 0 when there was none: what it wrote is in a snapshot of
   * this or a later id.
   */
  lastForeign: Schema.BigInt,
  /** The last one when it was opened. */
  atOpen: Schema.BigInt,
  /** No DBI that is synced held an entry then, not even a tombstone. */
  emptyAtOpen: Schema.Boolean,
  /** In shadow mode. */
  tracking: Schema.optionalKey(Tracking)
}) {}

export const DumpRequest = Schema.Struct({
  place: SpoolPlace,
  format: SnapshotFormat,
  instanceID: Schema.String,
  hostname: Schema.String,
  /**
   * Nanoseconds: of the newest snapshot of this instance that is known. The new one is later, whatever the clock says.
   */
  newestKnown: Schema.BigInt,
  /** The last dump, if its place is still open: what has not changed since need not be compressed again. */
  last: Schema.optionalKey(Schema.Struct({ spooled: Spooled, timestampNano: Schema.BigInt }))
})
export type DumpRequest = typeof DumpRequest.Type

export class DumpResult extends Schema.Class<DumpResult>("DumpResult")({
  spooled: Spooled,
  /**
   * What was written up to this transaction is in it: that of the read transaction, in shadow mode that of the copy
   * main → shadow before it.
   */
  transactionId: Schema.BigInt,
  timestampNano: Schema.BigInt,
  /** The clock was at or before `newestKnown`. */
  clockBehind: Schema.Boolean,
  entries: Schema.Number,
  /** Names of the DBIs in it, each a `DbiName`. */
  dbis: Schema.Array(Schema.String),
  /** Bytes. */
  uncompressedSize: Schema.Number,
  /** Of that, taken from the last dump as it was compressed then. */
  reusedSize: Schema.Number,
  /** The copy main → shadow; 0 in native mode. */
  copyMillis: Schema.Number,
  /** For how long that held LMDB's write lock; a dump itself takes none. */
  lockHeldMillis: Schema.Number,
  acquireMillis: Schema.Number,
  /** From the first entry to the last member in the spool, with the compression beside it. */
  dumpMillis: Schema.Number,
  /** Of that, waiting for the compression. */
  compressMillis: Schema.Number
}) {}

export const MergeRequest = Schema.Struct({
  spooled: Spooled,
  format: SnapshotFormat,
  /** Nanoseconds: tombstones older than this are not added; absent: all are. */
  cutOffNano: Schema.optionalKey(Schema.BigInt)
})
export type MergeRequest = typeof MergeRequest.Type

export class MergeResult extends Schema.Class<MergeResult>("MergeResult")({
  /** Of the last write transaction, or of the read transaction when nothing was written. */
  transactionId: Schema.BigInt,
  /** With those that were skipped. */
  entriesRead: Schema.Number,
  /** In members of which was known that they bring nothing. */
  entriesSkipped: Schema.Number,
  entriesWritten: Schema.Number,
  /** Names of the DBIs in the snapshot that are merged, each a `DbiName`: not the private ones. */
  dbis: Schema.Array(Schema.String),
  /** Of these, the ones that were not there: what earlier merges had put into them, the application had dropped. */
  made: Schema.Array(Schema.String),
  uncompressedSize: Schema.Number,
  /** In all; 0 when nothing was written: the lock was not taken. */
  lockHeldMillis: Schema.Number,
  /** The longest of them. */
  longestLockMillis: Schema.Number,
  transactions: Schema.Int,
  /** How often the snapshot was read. */
  passes: Schema.Int
}) {}

export const SweepRequest = Schema.Struct({
  /** Tombstones older than this, in nanoseconds since the UNIX epoch, are removed. */
  olderThanNano: Schema.BigInt,
  /** How long the lock is held at a time, about; 0: without limit. */
  lockMillis: Schema.Number,
  /** The least pause after that. */
  releaseMillis: Schema.Number
})
export type SweepRequest = typeof SweepRequest.Type

export class SweepResult extends Schema.Class<SweepResult>("SweepResult")({
  /** With tombstones. */
  totalEntries: Schema.Number,
  /** Tombstones, those that were removed included. */
  deletedEntries: Schema.Number,
  /** Tombstones that were removed. */
  cleanedEntries: Schema.Number,
  transactions: Schema.Int,
  longestLockMillis: Schema.Number
}) {}

export const DatabaseInfo = Schema.Struct({
  lastTransactionId: Schema.BigInt,
  mapSize: Schema.Number,
  fileSize: Schema.Number,
  used: Schema.Number,
  pageSize: Schema.Number,
  readers: Schema.Int,
  maxReaders: Schema.Int,
  oldestReadMillis: Schema.Number,
  dbis: Schema.Array(DbiStatistics),
  /** Of the data file, absolute. */
  path: Schema.String
})

export class Database extends Context.Service<
  Database,
  {
    readonly name: string
    /**
     * Ends when somebody may have written, before the next poll would tell: a hint, which may come for nothing, or
     * never.
     */
    readonly touched: Effect.Effect<void>
    /** Cheap: for every poll. */
    readonly changes: Effect.Effect<Changes, DatabaseError>
    /** Writes the whole environment as one snapshot into the place. */
    readonly dump: (request: DumpRequest) => Effect.Effect<DumpResult, DatabaseError>
    readonly merge: (request: MergeRequest) => Effect.Effect<MergeResult, DatabaseError>
    /** Nanoseconds: the newest time of all entries, tombstones included; 0 when there is none. */
    readonly newest: Effect.Effect<bigint, DatabaseError>
    /** Whether it was marked as stale, by an earlier run, too. */
    readonly isMarkedStale: Effect.Effect<boolean, DatabaseError>
    readonly markStale: (stale: boolean) => Effect.Effect<void, DatabaseError>
    /** Frees the slots of readers whose processes are dead; how many. */
    readonly clearDeadReaders: Effect.Effect<number, DatabaseError>
    /** Removes old tombstones. */
    readonly sweep: (request: SweepRequest) => Effect.Effect<SweepResult, DatabaseError>
    readonly info: Effect.Effect<typeof DatabaseInfo.Type, DatabaseError>
    /** Bytes of the data file that are mapped, by the field of /proc/self/smaps; none where there is no such file. */
    readonly mappedMemory: Effect.Effect<Readonly<Record<string, number>>, DatabaseError>
  }
>()("lightningstream/services/Database") {}
