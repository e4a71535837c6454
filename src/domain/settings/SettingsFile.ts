/**
 * The configuration file as a schema, with the keys as they are written in the file and with every default. Decoding
 * turns durations into Durations, sizes into numbers of bytes, file modes and DBI flags into numbers, and secrets into
 * Redacted values. Encoding returns the effective YAML, in which secrets are hidden. Source: docs/configuration.md.
 */
import { Schema } from "effect"
import { ByteSize } from "./values/GoByteSize.ts"
import { DbiFlagsText } from "./values/DbiFlagsText.ts"
import { FileMode } from "./values/FileMode.ts"
import { durationAtLeast, durationPositive, GoDuration } from "./values/GoDuration.ts"
import { logFormats, logLevels, logTimestamps, readLogLevel, readLogTimestamp } from "./values/LogOptions.ts"
import {
  integerAtLeast,
  ListenAddressText,
  numberAbove,
  oneOf,
  Switch,
  Text,
  TextNotEmpty
} from "./values/SettingValues.ts"
import { AzureOptions, defaultsTo, FsOptions, MemoryOptions, S3Options } from "./StorageOptions.ts"

const off = Switch.pipe(defaultsTo(false))

export const LmdbSection = Schema.Struct({
  path: TextNotEmpty,
  options: Schema.Struct({
    /** With true, `path` is the data file, otherwise the directory of `data.mdb` and `lock.mdb`. */
    no_subdir: off,
    create: off,
    /** In bytes. 0 stands for the map size of the existing file, or `defaultMapSize` for a new one. */
    map_size: ByteSize.pipe(defaultsTo(0)),
    max_dbs: integerAtLeast(0).pipe(defaultsTo(64)),
    dir_mask: FileMode.pipe(defaultsTo(0o775)),
    file_mask: FileMode.pipe(defaultsTo(0o664))
  }).pipe(defaultsTo({})),
  schema_tracks_changes: off,
  dupsort_hack: off,
  header_extra_padding_block: off,
  /** Options by the name of the DBI. An absent `override_create_flags` is not the same as 0, which means no flags. */
  dbi_options: Schema.Record(
    Schema.String,
    Schema.Struct({ override_create_flags: Schema.optionalKey(DbiFlagsText) })
  ).pipe(defaultsTo({}))
})
export type LmdbSettings = typeof LmdbSection.Type

const SweeperSection = Schema.Struct({
  enabled: off,
  retention_days: numberAbove(0).pipe(defaultsTo(370)),
  interval: durationPositive.pipe(defaultsTo("6h0m0s")),
  first_interval: durationAtLeast("0s").pipe(defaultsTo("10m0s")),
  /** 0 means no limit. */
  lock_duration: durationAtLeast("0s").pipe(defaultsTo("50ms")),
  release_duration: durationAtLeast("0s").pipe(defaultsTo("50ms")),
  /** 0 stands for 1 % of the retention. */
  retention_load_cutoff_duration: GoDuration.pipe(defaultsTo("0s"))
})

const CleanupSection = Schema.Struct({
  enabled: off,
  interval: durationPositive.pipe(defaultsTo("5m0s")),
  must_keep_interval: GoDuration.pipe(defaultsTo("10m0s")),
  remove_old_instances_interval: GoDuration.pipe(defaultsTo("168h0m0s"))
})

const common = {
  /** Deprecated. Takes precedence over `options.root_path` of `fs`; EffectiveSettings copies it there. */
  root_path: Schema.optionalKey(Text),
  cleanup: CleanupSection.pipe(defaultsTo({}))
}

export const storageTypes = ["s3", "fs", "memory", "azure"] as const

const S3Section = Schema.Struct({ type: Schema.Literal("s3"), options: S3Options.pipe(defaultsTo({})), ...common })
const FsSection = Schema.Struct({ type: Schema.Literal("fs"), options: FsOptions.pipe(defaultsTo({})), ...common })
const AzureSection = Schema.Struct({
  type: Schema.Literal("azure"),
  options: AzureOptions.pipe(defaultsTo({})),
  ...common
})
const MemorySection = Schema.Struct({
  type: Schema.Literal("memory"),
  options: MemoryOptions.pipe(defaultsTo({})),
  ...common
})

const StorageSection = Schema.Union([S3Section, FsSection, AzureSection, MemorySection])
export type StorageSettings = typeof StorageSection.Type

const HealthSection = Schema.Struct({
  interval: GoDuration.pipe(defaultsTo("5s")),
  warn_duration: GoDuration.pipe(defaultsTo("1m0s")),
  error_duration: GoDuration.pipe(defaultsTo("5m0s"))
}).pipe(defaultsTo({}))

const HealthStartSection = Schema.Struct({
  interval: GoDuration.pipe(defaultsTo("1s")),
  warn_duration: GoDuration.pipe(defaultsTo("1m0s")),
  error_duration: GoDuration.pipe(defaultsTo("5m0s")),
  report_healthz: off,
  report_metadata: Switch.pipe(defaultsTo(true))
}).pipe(defaultsTo({}))

const LogSection = Schema.Struct({
  level: oneOf(logLevels, readLogLevel).pipe(defaultsTo("info")),
  format: oneOf(logFormats).pipe(defaultsTo("human")),
  timestamp: oneOf(logTimestamps, readLogTimestamp).pipe(defaultsTo("short"))
})

/**
 * The whole file, as written. The defaults of `instance`, `spool_directory` and `database_workers` depend on the
 * machine, so the layer SettingsYaml adds them before decoding.
 */
export const SettingsFile = Schema.Struct({
  instance: Text,
  lmdb_poll_interval: durationAtLeast("100ms").pipe(defaultsTo("1s")),
  /** 0 or a negative value disables the log of statistics. */
  lmdb_log_stats_interval: GoDuration.pipe(defaultsTo("30m0s")),
  lmdb_scrape_smaps: Switch.pipe(defaultsTo(true)),
  storage_poll_interval: durationAtLeast("100ms").pipe(defaultsTo("1s")),
  storage_retry_interval: durationAtLeast("100ms").pipe(defaultsTo("5s")),
  storage_retry_count: integerAtLeast(1).pipe(defaultsTo(100)),
  storage_retry_forever: off,
  /** 0 means never. */
  storage_force_snapshot_interval: durationAtLeast("1m", true).pipe(defaultsTo("4h0m0s")),
  delta_snapshots: oneOf(["auto", "never", "always"]).pipe(defaultsTo("auto")),
  full_snapshot_interval: durationAtLeast("1s").pipe(defaultsTo("15m0s")),
  memory_downloaded_snapshots: integerAtLeast(1).pipe(defaultsTo(2)),
  memory_decompressed_snapshots: integerAtLeast(1).pipe(defaultsTo(3)),
  only_once: off,
  /** With 0, a snapshot is applied in one transaction. */
  merge_lock_duration: durationAtLeast("10ms", true).pipe(defaultsTo("0s")),
  spool_directory: TextNotEmpty,
  /** In bytes. */
  spool_memory: ByteSize.pipe(defaultsTo("16MB")),
  spool_keep_last: Switch.pipe(defaultsTo(true)),
  database_workers: integerAtLeast(1),
  snapshot_compression: oneOf(["gzip", "zstd"]).pipe(defaultsTo("gzip")),
  /** Databases by name. SettingsChecks reports an empty map, because at least one database is needed. */
  lmdbs: Schema.Record(Schema.String, LmdbSection).pipe(defaultsTo({})),
  sweeper: SweeperSection.pipe(defaultsTo({})),
  storage: StorageSection,
  http: Schema.Struct({ address: ListenAddressText.pipe(defaultsTo("")) }).pipe(defaultsTo({})),
  log: LogSection.pipe(defaultsTo({})),
  health: Schema.Struct({
    storage_list: HealthSection,
    storage_load: HealthSection,
    storage_store: HealthSection,
    start: HealthStartSection
  }).pipe(defaultsTo({}))
})

export type SettingsValues = typeof SettingsFile.Type
