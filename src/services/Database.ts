/**
 * One LMDB environment as the main thread sees it. Operations are coarse enough to cross a thread: a call takes
 * milliseconds to minutes, and is never about one entry.
 *
 * Guarantees: interrupting a call stops the engine at its next yield, and ends when the engine's finalizers have run,
 * so that the caller can release what it passed. Errors are typed, whichever thread they come from. A merge is applied
 * as a whole or not at all (unless `mergeLockMillis` is set), also when it is interrupted. Not guaranteed: a call that
 * waits for LMDB's write lock can be interrupted only when it has the lock.
 */
import { Context, type Effect, Schema } from "effect"
import { CompressionError } from "./Compression.ts"
import { DbiStatistics, LmdbError, LmdbOptions } from "./Lmdb.ts"
import { Spooled, SpoolError, SpoolPlace } from "./Spool.ts"

/** A value in the LMDB has no native header: the application has another schema. */
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

/** The bytes are not a valid snapshot. Another download may be intact. */
export class CorruptSnapshot extends Schema.TaggedError<CorruptSnapshot>()("CorruptSnapshot", {
  problem: Schema.String
}) {
  override get message(): string {
    return `the snapshot is corrupt: ${this.problem}`
  }
}

/** The snapshot is valid, but this version, mode or configuration must not merge it. */
export class RefusedSnapshot extends Schema.TaggedError<RefusedSnapshot>()("RefusedSnapshot", {
  problem: Schema.String
}) {
  override get message(): string {
    return `the snapshot is refused: ${this.problem}`
  }
}

/** Two databases of the configuration are one file. With two handles in one process commits would be lost. */
export class OpenedTwice extends Schema.TaggedError<OpenedTwice>()("OpenedTwice", {
  path: Schema.String,
  other: Schema.String
}) {
  override get message(): string {
    return `${this.path} is the same data file as that of database "${this.other}": give each its own path, or remove one of them`
  }
}

/**
 * The thread that ran the engine has died. Its environments are still open in the process: only a new process may open
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
  get reaction(): "quarantine: corrupt" | "quarantine: refused" | "wait: map full" | "wait: missing" | "retry" | "end" {
    switch (this.reason._tag) {
      case "CorruptSnapshot":
      case "CompressionError":
        return "quarantine: corrupt"
      case "RefusedSnapshot":
        return "quarantine: refused"
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

/** Options of one environment. Plain data, which crosses to the thread that owns the environment. */
export const DatabaseOptions = Schema.Struct({
  /** Name of the database: its key below `lmdbs` in the configuration. */
  name: Schema.String,
  lmdb: LmdbOptions,
  /** Options of shadow mode (`schema_tracks_changes: false`). Absent in native mode. */
  shadow: Schema.optionalKey(
    Schema.Struct({
      dupsortHack: Schema.Boolean,
      /** `override_create_flags`, by the DBI's name as in the configuration. */
      createFlags: Schema.Record(Schema.String, Schema.Int)
    })
  ),
  /** `header_extra_padding_block`. */
  paddingBlock: Schema.Boolean,
  /** `merge_lock_duration`. With 0, a snapshot is applied in one transaction. */
  mergeLockMillis: Schema.Number,
  /** Whether delta snapshots can be dumped: what changes is followed for them. */
  deltas: Schema.Boolean
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
   * Upper bound of the last transaction that was not ours, 0 if there was none. A snapshot of this id or a later one
   * contains what that transaction wrote.
   */
  lastForeign: Schema.BigInt,
  /** Id of the last transaction when the environment was opened. */
  atOpen: Schema.BigInt,
  /** Whether no synced DBI had an entry then, not even a tombstone. */
  emptyAtOpen: Schema.Boolean,
  /** In shadow mode, and with deltas. */
  tracking: Schema.optionalKey(Tracking)
}) {}

const asDumped = {
  place: SpoolPlace,
  format: SnapshotFormat,
  instanceID: Schema.String,
  hostname: Schema.String,
  /**
   * Nanoseconds since the UNIX epoch: time of the newest known snapshot of this instance. The new snapshot gets a later
   * one, whatever the clock says.
   */
  newestKnown: Schema.BigInt
}

/** Times of earlier dumps from which deltas are still to start: what has changed since others is forgotten. */
const keptNano = Schema.Array(Schema.BigInt)

export const DumpRequest = Schema.Struct({
  ...asDumped,
  /** Absent: none. */
  keptNano: Schema.optionalKey(keptNano),
  /** The last dump, if its place is still open. Members that have not changed since are taken from it. */
  last: Schema.optionalKey(Schema.Struct({ spooled: Spooled, timestampNano: Schema.BigInt })),
  /**
   * Time of an earlier dump that the new snapshot takes over: it holds all that the earlier one has reached, and may
   * hold more. No delta can start at it that could not start at the earlier one.
   */
  timestampNano: Schema.optionalKey(Schema.BigInt)
})
export type DumpRequest = typeof DumpRequest.Type

export const DeltaRequest = Schema.Struct({
  ...asDumped,
  keptNano,
  /** Time of the dump that the delta is to start from. If that is not known any more, the next one after it does. */
  fromNano: Schema.BigInt,
  /** A delta of more entries or more compressed bytes is not made: a full snapshot costs less. */
  entriesMax: Schema.Number,
  sizeMax: Schema.Number
})
export type DeltaRequest = typeof DeltaRequest.Type

export class DumpResult extends Schema.Class<DumpResult>("DumpResult")({
  spooled: Spooled,
  /**
   * The snapshot contains everything up to this transaction: the read transaction, or in shadow mode the copy
   * main → shadow before it.
   */
  transactionId: Schema.BigInt,
  timestampNano: Schema.BigInt,
  /** Of a delta: time of the dump that it starts from. */
  fromNano: Schema.optionalKey(Schema.BigInt),
  /** Whether the clock was at or before `newestKnown`. */
  clockBehind: Schema.Boolean,
  entries: Schema.Number,
  /** Names of the DBIs in the snapshot, each a `DbiName`. */
  dbis: Schema.Array(Schema.String),
  /** Of a full snapshot: tombstones by the displayed name of the DBI that holds them, in shadow mode the shadow. */
  tombstones: Schema.optionalKey(Schema.Array(Schema.Struct({ dbi: Schema.String, tombstones: Schema.Number }))),
  /** Bytes. */
  uncompressedSize: Schema.Number,
  /** Uncompressed bytes that were taken from the last dump. */
  reusedSize: Schema.Number,
  /** Time of the copy main → shadow; 0 in native mode. */
  copyMillis: Schema.Number,
  /** Time for which the copy held LMDB's write lock. The dump itself takes none. */
  lockHeldMillis: Schema.Number,
  acquireMillis: Schema.Number,
  /** Time from the first entry to the last member in the spool, compression included. */
  dumpMillis: Schema.Number,
  /** Part of `dumpMillis` that was spent waiting for compression. */
  compressMillis: Schema.Number
}) {}

export const MergeRequest = Schema.Struct({
  spooled: Spooled,
  format: SnapshotFormat,
  /** Nanoseconds since the UNIX epoch: tombstones older than this are not added. Absent: all are added. */
  cutOffNano: Schema.optionalKey(Schema.BigInt)
})
export type MergeRequest = typeof MergeRequest.Type

export class MergeResult extends Schema.Class<MergeResult>("MergeResult")({
  /** Id of the last write transaction, or of the read transaction if nothing was written. */
  transactionId: Schema.BigInt,
  /** Entries of the snapshot, skipped ones included. */
  entriesRead: Schema.Number,
  /** Entries in members that were known to bring nothing. */
  entriesSkipped: Schema.Number,
  entriesWritten: Schema.Number,
  /** Names of the DBIs that were merged, each a `DbiName`. Our own DBIs are not among them. */
  dbis: Schema.Array(Schema.String),
  /** Names of the merged DBIs that did not exist before: the application has dropped what earlier merges put there. */
  made: Schema.Array(Schema.String),
  uncompressedSize: Schema.Number,
  /** Time for which the write lock was held in all. 0 if nothing was written: then the lock was not taken. */
  lockHeldMillis: Schema.Number,
  /** Longest time for which the lock was held at once. */
  longestLockMillis: Schema.Number,
  transactions: Schema.Int,
  /** Number of times the snapshot was read. */
  passes: Schema.Int
}) {}

export const SweepRequest = Schema.Struct({
  /** Tombstones older than this, in nanoseconds since the UNIX epoch, are removed. */
  olderThanNano: Schema.BigInt,
  /** About how long the lock is held at a time; 0: without limit. */
  lockMillis: Schema.Number,
  /** Minimum pause after that. */
  releaseMillis: Schema.Number
})
export type SweepRequest = typeof SweepRequest.Type

export class SweepResult extends Schema.Class<SweepResult>("SweepResult")({
  /** Entries, tombstones included. */
  totalEntries: Schema.Number,
  /** Tombstones, removed ones included. */
  deletedEntries: Schema.Number,
  /** Removed tombstones. */
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
     * Ends when the data file may have been written, so that the change is noticed before the next poll. It is a hint:
     * it may end without a change, or not end at all.
     */
    readonly touched: Effect.Effect<void>
    /** Ids of transactions. Cheap enough for every poll. */
    readonly changes: Effect.Effect<Changes, DatabaseError>
    /** Writes the whole environment as one snapshot into a place of the spool. */
    readonly dump: (request: DumpRequest) => Effect.Effect<DumpResult, DatabaseError>
    /**
     * Writes a delta snapshot: what has changed since an earlier dump of this run, entries that were removed without a
     * trace excepted. Whoever has merged all up to that dump and merges the delta has all that this dump has found.
     * Undefined, and nothing is written, when what has changed is not known, or is too much: then `dump` is needed.
     */
    readonly dumpDelta: (request: DeltaRequest) => Effect.Effect<DumpResult | undefined, DatabaseError>
    readonly merge: (request: MergeRequest) => Effect.Effect<MergeResult, DatabaseError>
    /** Newest timestamp of all entries, tombstones included, in nanoseconds; 0 if there are none. */
    readonly newest: Effect.Effect<bigint, DatabaseError>
    /**
     * The mark that this run or an earlier one has made of a stale environment: the newest timestamp of the entries at
     * that time, in nanoseconds, 0 if that is not known. Undefined without a mark.
     */
    readonly staleMark: Effect.Effect<bigint | undefined, DatabaseError>
    /** Makes the mark, unless it is there. Undefined removes it. */
    readonly markStale: (newest: bigint | undefined) => Effect.Effect<void, DatabaseError>
    /** Frees reader slots of dead processes. Returns their number. */
    readonly clearDeadReaders: Effect.Effect<number, DatabaseError>
    /** Removes old tombstones. */
    readonly sweep: (request: SweepRequest) => Effect.Effect<SweepResult, DatabaseError>
    readonly info: Effect.Effect<typeof DatabaseInfo.Type, DatabaseError>
    /** Bytes of the data file that are mapped, by the field of /proc/self/smaps; none where there is no such file. */
    readonly mappedMemory: Effect.Effect<Readonly<Record<string, number>>, DatabaseError>
  }
>()("lightningstream/services/Database") {}
