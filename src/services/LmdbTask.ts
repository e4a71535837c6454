/**
 * The tasks that one-shot commands run on a worker thread, because LMDB is not used on the main thread. A task and its
 * result are plain data, which can be sent between the threads. A task opens only LMDBs that no other thread of the
 * process has open.
 */
import { Schema } from "effect"
import { DatabaseOptions } from "./Database.ts"
import { LmdbOptions } from "./Lmdb.ts"
import { Spooled } from "./Spool.ts"
import { StoredObject } from "./Storage.ts"

/** An LMDB of the configuration that a task works on. */
export const TaskTarget = Schema.Struct({
  database: Schema.String,
  lmdb: LmdbOptions,
  /** Value of `schema_tracks_changes`: whether the application's values have native headers. */
  isNative: Schema.Boolean
})
export type TaskTarget = typeof TaskTarget.Type

const targets = Schema.Array(TaskTarget)

/** Drops our own DBIs (`_sync*`). */
export const DropShadow = Schema.TaggedStruct("DropShadow", { targets })

/** Returns LMDB's statistics of each target. */
export const Stats = Schema.TaggedStruct("Stats", { targets, format: Schema.Literals(["text", "json"]) })
export type Stats = typeof Stats.Type

/** Prints the entries of an LMDB, piece by piece. */
export const Dump = Schema.TaggedStruct("Dump", {
  target: TaskTarget,
  format: Schema.Literals(["text", "json"]),
  /** Whether to omit our own DBIs (`_sync*`). */
  hidesPrivate: Schema.Boolean
})
export type Dump = typeof Dump.Type

/** Sets the timestamps of the entries of DBI `dst` to those of the entries of DBI `src` with the same keys. */
export const MigrateTimestamps = Schema.TaggedStruct("MigrateTimestamps", {
  target: TaskTarget,
  src: Schema.String,
  dst: Schema.String,
  /** Whether to add the tombstones of `src` whose keys are not in `dst`. */
  addTombstones: Schema.Boolean,
  /** Whether to succeed without doing anything if `src` does not exist. */
  ignoreMissingSource: Schema.Boolean
})
export type MigrateTimestamps = typeof MigrateTimestamps.Type

/** Finds the zones that are stored twice in the schema of PowerDNS 4.8. */
export const FixDuplicateDomains = Schema.TaggedStruct("FixDuplicateDomains", {
  target: TaskTarget,
  /** Whether to rename the duplicates. Otherwise they are only listed. */
  rename: Schema.Boolean
})
export type FixDuplicateDomains = typeof FixDuplicateDomains.Type

/** Reads all entries of a restored LMDB to check them. */
export const ReadBack = Schema.TaggedStruct("ReadBack", {
  target: TaskTarget,
  /** Where the headers are: in the application's values, in the shadow DBIs, or nowhere. */
  headers: Schema.Literals(["native", "shadow", "none"]),
  /** Limits of the number of entries that the LMDB must contain, tombstones included. */
  entriesMin: Schema.Number,
  entriesMax: Schema.Number
})
export type ReadBack = typeof ReadBack.Type

/** Reads LMDB's table of readers. The result's text is a `ReaderTable` in JSON. */
export const ReadReaders = Schema.TaggedStruct("ReadReaders", { lmdb: LmdbOptions })
export type ReadReaders = typeof ReadReaders.Type

/** Collects the facts about an LMDB that `doctor` checks. The result's text is an `LmdbFacts` in JSON. */
export const Inspect = Schema.TaggedStruct("Inspect", { target: TaskTarget, dupsortHack: Schema.Boolean })
export type Inspect = typeof Inspect.Type

/** The downloaded state of an instance in the bucket: a full snapshot, followed by deltas, oldest first. */
const SpooledState = Schema.Struct({
  instance: Schema.String,
  objects: Schema.Array(Schema.Struct({ object: StoredObject, spooled: Spooled }))
})
export type SpooledState = typeof SpooledState.Type

/** An object that cannot be merged here. */
export const UnusableObject = Schema.Struct({
  name: Schema.String,
  problem: Schema.String,
  /** True if the object is valid, but must not be merged here. */
  isRefused: Schema.Boolean
})
export type UnusableObject = typeof UnusableObject.Type

/** The newest usable state of each instance and the LMDB, which are to be compared. */
const Compared = {
  options: DatabaseOptions,
  states: Schema.Array(SpooledState),
  /** Unusable objects that are newer than the states of their instances. */
  unusable: Schema.Array(UnusableObject),
  /** Tombstones older than this, in nanoseconds since the UNIX epoch, do not count. */
  cutOffNano: Schema.BigInt
}

/** Compares the states and the LMDB. The result's text is a `ComparisonResult` in JSON. */
export const Verify = Schema.TaggedStruct("Verify", { ...Compared, graceNano: Schema.BigInt, json: Schema.Boolean })
export type Verify = typeof Verify.Type

/**
 * Counts what the daemon would change in the LMDB and the bucket. The result's text is a `ComparisonResult` in JSON.
 */
export const DryRun = Schema.TaggedStruct("DryRun", {
  ...Compared,
  /** Name of our instance as in object names. */
  instance: Schema.String,
  receiveOnly: Schema.Boolean,
  /** Data older than this, in nanoseconds since the UNIX epoch, are stale. Absent if none are. */
  staleNano: Schema.optionalKey(Schema.BigInt),
  /** Tombstones older than this, in nanoseconds since the UNIX epoch, would be swept. Absent if the sweeper is off. */
  sweptNano: Schema.optionalKey(Schema.BigInt),
  /** The listed objects with the prefix of the database. */
  listed: Schema.Array(StoredObject),
  /** The rules of the cleaner. Absent if it is off. */
  cleaner: Schema.optionalKey(
    Schema.Struct({
      database: Schema.String,
      ownInstance: Schema.String,
      mustKeep: Schema.BigInt,
      removeOldInstances: Schema.BigInt
    })
  )
})
export type DryRun = typeof DryRun.Type

/** Objects that turned out to be unusable: the task must be run again without them. */
export const Unusable = Schema.TaggedStruct("Unusable", { objects: Schema.Array(UnusableObject) })
export type Unusable = typeof Unusable.Type

export const ComparisonText = Schema.TaggedStruct("Text", { isGood: Schema.Boolean, text: Schema.String })

/** Result of `Verify` and `DryRun`. */
export const ComparisonResult = Schema.Union([Unusable, ComparisonText])
export type ComparisonResult = typeof ComparisonResult.Type

export const LmdbTask = Schema.Union([
  DropShadow,
  Stats,
  Dump,
  MigrateTimestamps,
  FixDuplicateDomains,
  ReadBack,
  ReadReaders,
  Inspect,
  Verify,
  DryRun
])
export type LmdbTask = typeof LmdbTask.Type

export const LmdbTaskResult = Schema.Struct({
  /** Exit code of the command. The log contains the reason for a failure. */
  code: Schema.Int,
  /** Text for standard output. */
  text: Schema.String
})
export type LmdbTaskResult = typeof LmdbTaskResult.Type

/** Result of `ReadReaders`. Ids of transactions are decimal numbers. */
export const ReaderTable = Schema.Struct({
  /** Map size in bytes that the data file records. */
  mapSize: Schema.Number,
  maxReaders: Schema.Int,
  lastTransactionId: Schema.String,
  readers: Schema.Array(
    Schema.Struct({
      pid: Schema.Int,
      /** True if the process still existed when LMDB looked for dead processes. */
      isAlive: Schema.Boolean,
      /** Id of the transaction that the reader sees. Absent if it does not read at the moment. */
      transactionId: Schema.optionalKey(Schema.String)
    })
  )
})
export type ReaderTable = typeof ReaderTable.Type

/** Result of `Inspect`. Sizes are in bytes. */
export const LmdbFacts = Schema.Struct({
  used: Schema.Number,
  pageSize: Schema.Number,
  dbis: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      /** Why the DBI cannot be synced. Absent if it can. */
      problem: Schema.optionalKey(Schema.String),
      /** Number of values whose header was checked. */
      looked: Schema.Int,
      /** Problem of the first invalid header. Absent if all are valid. */
      headerProblem: Schema.optionalKey(Schema.String)
    })
  )
})
export type LmdbFacts = typeof LmdbFacts.Type
