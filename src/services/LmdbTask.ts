/**
 * What a command that runs once asks of the thread that it gives LMDB to. Plain data: it crosses to that thread, and
 * the result comes back. Each task works on LMDBs that no other thread of the process has open.
 */
import { Schema } from "effect"
import { LmdbOptions } from "./Lmdb.ts"

/** An LMDB of the configuration. */
export const TaskTarget = Schema.Struct({
  database: Schema.String,
  lmdb: LmdbOptions,
  /** `schema_tracks_changes`: the application's values have native headers. */
  isNative: Schema.Boolean
})
export type TaskTarget = typeof TaskTarget.Type

const targets = Schema.Array(TaskTarget)

/** The private DBIs (`_sync*`) are dropped. */
export const DropShadow = Schema.TaggedStruct("DropShadow", { targets })

export const Stats = Schema.TaggedStruct("Stats", { targets, format: Schema.Literals(["text", "json"]) })
export type Stats = typeof Stats.Type

/** Entries of DBI `dst` get the times of DBI `src`. */
export const MigrateTimestamps = Schema.TaggedStruct("MigrateTimestamps", {
  target: TaskTarget,
  src: Schema.String,
  dst: Schema.String,
  /** Tombstones of `src` whose keys `dst` does not have are added there. */
  addTombstones: Schema.Boolean,
  /** Without `src` there is nothing to do. */
  ignoreMissingSource: Schema.Boolean
})
export type MigrateTimestamps = typeof MigrateTimestamps.Type

/** Zones that the schema of PowerDNS 4.8 has twice. */
export const FixDuplicateDomains = Schema.TaggedStruct("FixDuplicateDomains", {
  target: TaskTarget,
  /** Without it they are only listed. */
  rename: Schema.Boolean
})
export type FixDuplicateDomains = typeof FixDuplicateDomains.Type

/** An LMDB that was restored is read to its end. */
export const ReadBack = Schema.TaggedStruct("ReadBack", {
  target: TaskTarget,
  /** Where the headers are: in the application's values, in the shadow DBIs, or nowhere. */
  headers: Schema.Literals(["native", "shadow", "none"]),
  /** Entries that it must hold, tombstones included. */
  entriesMin: Schema.Number,
  entriesMax: Schema.Number
})
export type ReadBack = typeof ReadBack.Type

/** LMDB's table of readers is read. The text is a `ReaderTable` as JSON. */
export const ReadReaders = Schema.TaggedStruct("ReadReaders", { lmdb: LmdbOptions })
export type ReadReaders = typeof ReadReaders.Type

/** What `doctor` wants to know of an LMDB is looked up. The text is an `LmdbFacts` as JSON. */
export const Inspect = Schema.TaggedStruct("Inspect", { target: TaskTarget, dupsortHack: Schema.Boolean })
export type Inspect = typeof Inspect.Type

export const LmdbTask = Schema.Union([
  DropShadow,
  Stats,
  MigrateTimestamps,
  FixDuplicateDomains,
  ReadBack,
  ReadReaders,
  Inspect
])
export type LmdbTask = typeof LmdbTask.Type

export const LmdbTaskResult = Schema.Struct({
  /** Exit code. What failed is in the log. */
  code: Schema.Int,
  /** For standard output. */
  text: Schema.String
})
export type LmdbTaskResult = typeof LmdbTaskResult.Type

/** Result of `ReadReaders`. Ids of transactions are decimal. */
export const ReaderTable = Schema.Struct({
  /** Bytes, as the data file has it. */
  mapSize: Schema.Number,
  maxReaders: Schema.Int,
  lastTransactionId: Schema.String,
  readers: Schema.Array(
    Schema.Struct({
      pid: Schema.Int,
      /** LMDB has left the slot when it looked for dead processes. */
      isAlive: Schema.Boolean,
      /** Absent when it does not read at the moment. */
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
      /** Why the DBI cannot be synced. */
      problem: Schema.optionalKey(Schema.String),
      /** Values whose header was looked at. */
      looked: Schema.Int,
      /** What is wrong with the first header that is. */
      headerProblem: Schema.optionalKey(Schema.String)
    })
  )
})
export type LmdbFacts = typeof LmdbFacts.Type
