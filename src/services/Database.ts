/**
 * One LMDB environment as the main thread sees it. Operations are coarse, so that they can be called across threads: a
 * call takes milliseconds to minutes and never concerns a single entry.
 *
 * Guarantees: interrupting a call stops the engine at its next yield and returns when the engine's finalizers have run,
 * so that the caller can release what it passed. Errors are typed, whichever thread they come from. A merge is applied
 * as a whole or not at all (unless `mergeLockMillis` is set), even if it is interrupted.
 *
 * Not guaranteed: a call that waits for LMDB's write lock is interrupted only once it has the lock.
 */
import { Cause, Context, type Effect, Exit, Schema } from "effect"
import { CompressionError } from "./Compression.ts"
import { DbiStatistics, LmdbError, LmdbOptions } from "./Lmdb.ts"
import { Spooled, SpoolError, SpoolPlace } from "./Spool.ts"

/** A value in the LMDB has no native header, because the application uses another schema. */
export class NotNative extends Schema.TaggedError<NotNative>()("NotNative", {
  dbi: Schema.String,
  /** The key in hexadecimal. */
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

/** Two databases of the configuration use one data file. With two handles in one process, commits would be lost. */
export class OpenedTwice extends Schema.TaggedError<OpenedTwice>()("OpenedTwice", {
  path: Schema.String,
  other: Schema.String
}) {
  override get message(): string {
    return `${this.path} is the same data file as that of database "${this.other}": give each its own path, or remove one of them`
  }
}

/**
 * The thread that ran the engine has died. Its environments are still open in this process, so only a new process may
 * open them again.
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
  /** What the caller does about the error. docs/sync.md explains the reactions. */
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

/** Whether a call failed because its worker thread has died. */
export const isWorkerLost = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some(
    (reason) =>
      Cause.isFailReason(reason) && reason.error instanceof DatabaseError && reason.error.reason._tag === "WorkerLost"
  )

/** Options of one environment. They are plain data, which can be sent to the thread that opens it. */
export const DatabaseOptions = Schema.Struct({
  /** Name of the database: its key below `lmdbs` in the configuration. */
  name: Schema.String,
  lmdb: LmdbOptions,
  /** Options of shadow mode (`schema_tracks_changes: false`). Absent in native mode. */
  shadow: Schema.optionalKey(
    Schema.Struct({
      dupsortHack: Schema.Boolean,
      /** Values of `override_create_flags`, by the name of the DBI as it is written in the configuration. */
      createFlags: Schema.Record(Schema.String, Schema.Int)
    })
  ),
  /** Value of `header_extra_padding_block`. */
  paddingBlock: Schema.Boolean,
  /** Value of `merge_lock_duration`. With 0, a snapshot is applied in one transaction. */
  mergeLockMillis: Schema.Number,
  /** Whether delta snapshots can be dumped. If so, the keys that change are tracked. */
  deltas: Schema.Boolean
})
export type DatabaseOptions = typeof DatabaseOptions.Type

export const SnapshotFormat = Schema.Literals(["gzip", "zstd"])
export type SnapshotFormat = typeof SnapshotFormat.Type

/** State of the tracking of changed keys. */
export const Tracking = Schema.Struct({
  /**
   * Age of the read transaction that changes are tracked from. While it is open, LMDB does not reuse the pages that it
   * contains.
   */
  pinMillis: Schema.Number,
  /** Processor time that this look at the changes has taken, without waiting for a core. */
  renewalMillis: Schema.Number,
  pendingKeys: Schema.Number,
  pendingBytes: Schema.Number,
  /** Number of times that changes could not be determined, so that all entries had to be compared. */
  givenUp: Schema.Number
})

/** Ids of LMDB transactions. */
export class Changes extends Schema.Class<Changes>("Changes")({
  last: Schema.BigInt,
  /**
   * Id of the last transaction in the data file. It exceeds `last` during a commit, whose result cannot be read yet.
   */
  stored: Schema.BigInt,
  /**
   * Upper bound of the id of the last transaction that was not ours, or 0 if there was none. A snapshot with this id or
   * a later one contains what that transaction wrote.
   */
  lastForeign: Schema.BigInt,
  /** Id of the last transaction when the environment was opened. */
  atOpen: Schema.BigInt,
  /** True if no synced DBI had an entry at that time, not even a tombstone. */
  emptyAtOpen: Schema.Boolean,
  /** Present in shadow mode, and if delta snapshots are enabled. */
  tracking: Schema.optionalKey(Tracking)
}) {}

const asDumped = {
  place: SpoolPlace,
  format: SnapshotFormat,
  instanceID: Schema.String,
  hostname: Schema.String,
  /**
   * Time of the newest known snapshot of this instance, in nanoseconds since the UNIX epoch. The new snapshot gets a
   * later time, whatever the clock says.
   */
  newestKnown: Schema.BigInt
}

/** Times of the earlier dumps that deltas may still start from. Changes since other dumps are discarded. */
const keptNano = Schema.Array(Schema.BigInt)

export const DumpRequest = Schema.Struct({
  ...asDumped,
  /** If absent, no delta may start from an earlier dump. */
  keptNano: Schema.optionalKey(keptNano),
  /** The last dump, if its place is still open. Members that have not changed since then are taken from it. */
  last: Schema.optionalKey(Schema.Struct({ spooled: Spooled, timestampNano: Schema.BigInt })),
  /**
   * Time of an earlier dump that the new snapshot takes over instead of a time of its own. The new snapshot contains at
   * least what the earlier one contains. A delta can start from it only if it could start from the earlier one.
   */
  timestampNano: Schema.optionalKey(Schema.BigInt)
})
export type DumpRequest = typeof DumpRequest.Type

export const DeltaRequest = Schema.Struct({
  ...asDumped,
  keptNano,
  /**
   * Time of the dump that the delta starts from. If that dump is no longer known, the delta starts from the next one.
   */
  fromNano: Schema.BigInt,
  /** Limits of entries and compressed bytes. A larger delta is not made, because a full snapshot costs less. */
  entriesMax: Schema.Number,
  sizeMax: Schema.Number
})
export type DeltaRequest = typeof DeltaRequest.Type

export class DumpResult extends Schema.Class<DumpResult>("DumpResult")({
  spooled: Spooled,
  /**
   * Id of the last transaction whose changes the snapshot contains: that of the read transaction, or in shadow mode
   * that of the copy main → shadow before it.
   */
  transactionId: Schema.BigInt,
  timestampNano: Schema.BigInt,
  /** Time of the dump that a delta starts from. Absent in a full snapshot. */
  fromNano: Schema.optionalKey(Schema.BigInt),
  /** True if the clock was at or before `newestKnown`. */
  clockBehind: Schema.Boolean,
  entries: Schema.Number,
  /**
   * Names of the DBIs in the snapshot, each a `DbiName`. In a delta, only those that have entries in it or are new;
   * none if no entry has changed.
   */
  dbis: Schema.Array(Schema.String),
  /**
   * Number of tombstones by DBI, under the displayed name of the DBI that contains them (in shadow mode, the shadow
   * DBI). Absent in a delta.
   */
  tombstones: Schema.optionalKey(Schema.Array(Schema.Struct({ dbi: Schema.String, tombstones: Schema.Number }))),
  /** Size in bytes before compression. */
  uncompressedSize: Schema.Number,
  /** Uncompressed bytes that were taken from the last dump. */
  reusedSize: Schema.Number,
  /** Duration of the copy main → shadow, or 0 in native mode. */
  copyMillis: Schema.Number,
  /** Time for which the copy held LMDB's write lock. The dump itself takes none. */
  lockHeldMillis: Schema.Number,
  acquireMillis: Schema.Number,
  /** Time from the first entry to the last member in the spool, compression included. */
  dumpMillis: Schema.Number,
  /** Part of `dumpMillis` that was spent waiting for compression. */
  compressMillis: Schema.Number
}) {}

/** A snapshot or delta in the spool. */
export const SpooledSnapshot = Schema.Struct({ spooled: Spooled, format: SnapshotFormat })
export type SpooledSnapshot = typeof SpooledSnapshot.Type

export const MergeRequest = Schema.Struct({
  /** The snapshots to merge, in order. Several are merged in one write transaction. */
  snapshots: Schema.NonEmptyArray(SpooledSnapshot),
  /** Tombstones older than this, in nanoseconds since the UNIX epoch, are not added. If absent, all are added. */
  cutOffNano: Schema.optionalKey(Schema.BigInt)
})
export type MergeRequest = typeof MergeRequest.Type

export class MergeResult extends Schema.Class<MergeResult>("MergeResult")({
  /** Id of the last write transaction, or of the read transaction if nothing was written. */
  transactionId: Schema.BigInt,
  /** Entries of the snapshot, skipped ones included. */
  entriesRead: Schema.Number,
  /** Entries in members that were known to contain nothing new. */
  entriesSkipped: Schema.Number,
  entriesWritten: Schema.Number,
  /** Names of the merged DBIs, each a `DbiName`. Our own DBIs are never merged. */
  dbis: Schema.Array(Schema.String),
  /**
   * Names of the merged DBIs that the merge has created. If they had been merged before, the application has dropped
   * them since, with what earlier merges put there.
   */
  made: Schema.Array(Schema.String),
  uncompressedSize: Schema.Number,
  /**
   * Total time for which the write lock was held. 0 if nothing was written, because the lock was not taken then. Of
   * several snapshots in one transaction, only the last one has the times and the number of transactions.
   */
  lockHeldMillis: Schema.Number,
  /** Longest time for which the lock was held without a break. */
  longestLockMillis: Schema.Number,
  transactions: Schema.Int,
  /** Number of times the snapshot was read. */
  passes: Schema.Int
}) {}

export const SweepRequest = Schema.Struct({
  /** Tombstones older than this, in nanoseconds since the UNIX epoch, are removed. */
  olderThanNano: Schema.BigInt,
  /** Approximate time for which the lock is held without a break, or 0 for no limit. */
  lockMillis: Schema.Number,
  /** Minimum pause between two such times. */
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
  /** Absolute path of the data file. */
  path: Schema.String
})

export class Database extends Context.Service<
  Database,
  {
    readonly name: string
    /**
     * Completes when the data file may have been written, so that a change is noticed before the next poll. It is only
     * a hint: it may complete without a change, or not complete at all.
     */
    readonly touched: Effect.Effect<void>
    /** Returns the ids of transactions. It is cheap enough for every poll. */
    readonly changes: Effect.Effect<Changes, DatabaseError>
    /** Writes the whole environment as one snapshot into a place of the spool. */
    readonly dump: (request: DumpRequest) => Effect.Effect<DumpResult, DatabaseError>
    /**
     * Writes a delta snapshot: the entries that have changed since an earlier dump of this run, except for those that
     * were removed without a tombstone. An instance that has merged everything up to that dump and then the delta has
     * everything that this dump has read. Returns undefined and writes nothing if the changes are unknown or exceed the
     * limits; `dump` is needed then.
     */
    readonly dumpDelta: (request: DeltaRequest) => Effect.Effect<DumpResult | undefined, DatabaseError>
    /**
     * Merges snapshots or deltas from places of the spool into the environment, in order and in one write transaction
     * (unless `mergeLockMillis` divides it). Returns the results of those that were merged, which are the first one and
     * as many of the following ones as can be merged together with it. The others are for the next call, which reports
     * the error if the first of them has one.
     */
    readonly merge: (
      request: MergeRequest
    ) => Effect.Effect<readonly [MergeResult, ...ReadonlyArray<MergeResult>], DatabaseError>
    /**
     * Newest timestamp of all entries, tombstones included, in nanoseconds since the UNIX epoch, or 0 without entries.
     */
    readonly newest: Effect.Effect<bigint, DatabaseError>
    /**
     * Returns the mark of a stale environment, which this run or an earlier one has set: the newest timestamp of the
     * entries at that time, in nanoseconds since the UNIX epoch, or 0 if it is not known. Undefined if there is no
     * mark.
     */
    readonly staleMark: Effect.Effect<bigint | undefined, DatabaseError>
    /** Sets the mark unless there is one. Undefined removes it. */
    readonly markStale: (newest: bigint | undefined) => Effect.Effect<void, DatabaseError>
    /** Frees the reader slots of dead processes and returns their number. */
    readonly clearDeadReaders: Effect.Effect<number, DatabaseError>
    /** Removes old tombstones. */
    readonly sweep: (request: SweepRequest) => Effect.Effect<SweepResult, DatabaseError>
    readonly info: Effect.Effect<typeof DatabaseInfo.Type, DatabaseError>
    /** Mapped bytes of the data file by the field of /proc/self/smaps. Empty on systems without that file. */
    readonly mappedMemory: Effect.Effect<Readonly<Record<string, number>>, DatabaseError>
  }
>()("lightningstream/services/Database") {}
