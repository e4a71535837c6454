/**
 * Every metric that /metrics shows. A series with labels appears with its first event. A series without labels appears
 * at the start, with the value 0. scripts/document-metrics.ts generates the tables of docs/monitoring.md from them.
 */
import { counter, gauge, histogram, summary } from "./MetricFamily.ts"

const minute = 60
const hour = 60 * minute
const day = 24 * hour

/** The default buckets of Prometheus's client libraries, in seconds. */
const defaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const ageBuckets = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30].concat(
  [1, 2, 5, 10, 30].map((minutes) => minutes * minute),
  [1, 2, 6, 12].map((hours) => hours * hour),
  [1, 3, 7, 14, 30].map((days) => days * day)
)

const callBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60]

const lockBuckets = [0.0005, 0.001, 0.0025, ...defaultBuckets]

/** Returns the metrics of the calls of one kind of storage, whose name in help texts is `what`. */
const storageCalls = <const Kind extends "s3" | "azure">(kind: Kind, what: string) => ({
  calls: counter(`storage_${kind}_call_total`, `Calls of ${what}, by operation`, "method"),
  lastCall: gauge(`storage_${kind}_call_timestamp_seconds`, "Start of the last call, by operation", "method"),
  duration: histogram(
    `storage_${kind}_call_duration_seconds`,
    callBuckets,
    "Duration of calls, by operation",
    "method"
  ),
  errors: counter(`storage_${kind}_call_error_total`, "Calls that failed, by operation", "method"),
  errorTypes: counter(
    `storage_${kind}_call_error_by_type_total`,
    "Calls that failed, by operation and error: NotFound, Timeout, DNSError, URLError, the code of the server, or Unknown",
    "method",
    "error"
  )
})

export const s3Calls = storageCalls("s3", "S3")
export const azureCalls = storageCalls("azure", "Azure Blob Storage")

const ofStorage = {
  s3Calls: s3Calls.calls,
  s3LastCall: s3Calls.lastCall,
  s3Duration: s3Calls.duration,
  s3Errors: s3Calls.errors,
  s3ErrorTypes: s3Calls.errorTypes,
  azureCalls: azureCalls.calls,
  azureLastCall: azureCalls.lastCall,
  azureDuration: azureCalls.duration,
  azureErrors: azureCalls.errors,
  azureErrorTypes: azureCalls.errorTypes
} as const

/**
 * Metrics with the names, types, labels and buckets of Lightning Stream, so that its dashboards and alerts still work.
 */
export const asLightningStream = {
  generated: counter(
    "lightningstream_syncer_snapshots_generated_total",
    "Snapshots that were made, stored or not",
    "lmdb"
  ),
  generatedLast: gauge(
    "lightningstream_syncer_snapshots_generated_last_unix_seconds",
    "Time of the last snapshot that was made, in seconds since the UNIX epoch",
    "lmdb"
  ),
  generatedLastSize: gauge(
    "lightningstream_syncer_snapshots_generated_last_size_bytes",
    "Compressed size of the last snapshot that was made",
    "lmdb"
  ),
  storeCalls: counter("lightningstream_syncer_snapshots_store_calls_total", "Attempts to store a snapshot"),
  storeBytes: counter("lightningstream_syncer_snapshots_store_bytes_total", "Bytes of snapshots that were stored"),
  storeFailedAttempts: counter(
    "lightningstream_syncer_snapshots_store_failed_attempts_total",
    "Attempts to store a snapshot that failed",
    "lmdb"
  ),
  storeFailedPermanently: counter(
    "lightningstream_syncer_snapshots_store_failed_permanently_total",
    "Snapshots that were given up after storage_retry_count attempts, which ends the daemon",
    "lmdb"
  ),
  loadCalls: counter("lightningstream_syncer_snapshots_load_calls_total", "Attempts to download a snapshot"),
  loadBytes: counter("lightningstream_syncer_snapshots_load_bytes_total", "Bytes of snapshots that were downloaded"),
  loadFailed: counter(
    "lightningstream_syncer_snapshots_load_failed_total",
    "Downloads that failed or were corrupt",
    "lmdb",
    "syncer_instance"
  ),
  listCalls: counter("lightningstream_syncer_snapshots_list_calls_total", "Listings of the bucket"),
  listFailed: counter("lightningstream_syncer_snapshots_list_failed_total", "Listings that failed", "lmdb"),

  lastReceived: gauge(
    "lightningstream_receiver_snapshots_last_received_seconds",
    "Time of the newest listed snapshot of another instance, in seconds since the UNIX epoch",
    "lmdb",
    "syncer_instance"
  ),
  lastReceivedAge: histogram(
    "lightningstream_receiver_snapshots_last_received_age_seconds",
    ageBuckets,
    "Age of the newest snapshot of another instance when it was first listed",
    "lmdb",
    "syncer_instance"
  ),
  inStorageCount: gauge("lightningstream_receiver_snapshots_in_storage_count", "Objects in the bucket", "lmdb"),
  inStorageBytes: gauge(
    "lightningstream_receiver_snapshots_in_storage_bytes",
    "Total size of the objects in the bucket",
    "lmdb"
  ),

  limit: gauge("lightningstream_climit_limit", "Permits of a memory budget", "lmdb", "limit_name"),
  limitWaiting: gauge("lightningstream_climit_waiting", "Tasks that wait for a permit", "lmdb", "limit_name"),
  limitActive: gauge("lightningstream_climit_active", "Tasks that hold a permit", "lmdb", "limit_name"),
  limitAcquired: counter("lightningstream_climit_acquired_total", "Permits that were acquired", "lmdb", "limit_name"),
  limitActiveSeconds: histogram(
    "lightningstream_climit_active_seconds",
    defaultBuckets,
    "Time for which a permit was held",
    "lmdb",
    "limit_name"
  ),
  limitWaitingSeconds: histogram(
    "lightningstream_climit_waiting_seconds",
    defaultBuckets,
    "Time that a task waited for a permit",
    "lmdb",
    "limit_name"
  ),

  cleanerLists: counter("lightningstream_cleaner_list_calls_total", "Listings of the bucket by the cleaner"),
  cleanerListsFailed: counter("lightningstream_cleaner_list_failed_total", "Listings by the cleaner that failed"),
  cleanerDeletes: counter(
    "lightningstream_cleaner_delete_total",
    "Attempts of the cleaner to delete a snapshot, by reason: newer snapshot, or stale instance",
    "lmdb",
    "reason"
  ),
  cleanerDeletesFailed: counter(
    "lightningstream_cleaner_delete_failed_total",
    "Attempts of the cleaner to delete a snapshot that failed"
  ),

  sweeperCleaned: counter("lightningstream_sweeper_cleaned_total", "Tombstones that the sweeper has removed", "lmdb"),
  sweeperAvailable: gauge("lightningstream_sweeper_stats_available", "1 once a sweep has ended, absent before", "lmdb"),
  sweeperEntries: gauge(
    "lightningstream_sweeper_stats_total_entries",
    "Entries after the last sweep, tombstones included",
    "lmdb"
  ),
  sweeperDeleted: gauge("lightningstream_sweeper_stats_deleted_entries", "Tombstones after the last sweep", "lmdb"),
  sweeperDuration: summary("lightningstream_sweeper_duration_seconds", "Duration of the sweeps", "lmdb"),

  mapSize: gauge("lmdb_mapsize_bytes", "Map size of the LMDB, which limits the size of its data file", "lmdb"),
  fileSize: gauge("lmdb_filesize_bytes", "Size of the data file", "lmdb"),
  readers: gauge("lmdb_env_readers_current", "Reader slots in use, by all processes", "lmdb"),
  readersMax: gauge("lmdb_env_readers_max", "Reader slots", "lmdb"),
  lastTransaction: gauge("lmdb_env_last_tnx_id", "Id of the last write transaction", "lmdb"),
  usedBytes: gauge("lmdb_total_usage_bytes", "Total size of the pages that the DBIs use", "lmdb"),
  usedFraction: gauge("lmdb_total_usage_fraction", "The same as a fraction of the map size, 0 to 1", "lmdb"),
  dbiBytes: gauge("lmdb_db_usage_bytes", "Total size of the pages that a DBI uses", "lmdb", "db"),
  dbiEntries: gauge("lmdb_stat_entries", "Entries of a DBI, tombstones included", "lmdb", "db"),
  dbiDepth: gauge("lmdb_stat_depth", "Depth of the tree of a DBI", "lmdb", "db"),
  dbiPages: gauge("lmdb_stat_pages", "Pages of a DBI, by type: branch, leaf, overflow", "lmdb", "db", "pagetype"),
  mappedBytes: gauge(
    "lmdb_smaps_bytes",
    "Mapped memory of the data file, by the field of /proc/self/smaps (Linux; not with lmdb_scrape_smaps: false)",
    "lmdb",
    "database_path",
    "smap"
  ),

  ...ofStorage,

  processCpu: counter("process_cpu_seconds_total", "CPU time of the process, user and system"),
  processResident: gauge(
    "process_resident_memory_bytes",
    "Resident memory of the process, mapped pages of the LMDBs included"
  ),
  processVirtual: gauge(
    "process_virtual_memory_bytes",
    "Virtual memory of the process, the maps of the LMDBs included"
  ),
  processOpenFiles: gauge("process_open_fds", "Open file descriptors"),
  processMaxFiles: gauge("process_max_fds", "Limit of open file descriptors"),
  processStart: gauge("process_start_time_seconds", "Start of the process, in seconds since the UNIX epoch")
} as const

/** Metrics that Lightning Stream does not have. */
export const ours = {
  buildInfo: gauge(
    "lightningstream_build_info",
    "1; the labels are the versions of this program and of Node",
    "version",
    "node"
  ),
  processMemory: gauge(
    "lightningstream_process_memory_bytes",
    "Memory of the process by kind: resident; anonymous (resident memory without mapped files; Linux only); heap, heap_used and external (buffers) of the main thread",
    "kind"
  ),
  loopDelay: gauge(
    "lightningstream_event_loop_delay_seconds",
    "Delay of the main thread's event loop in the last minute or two: the 99th percentile, and the longest (quantile 1)",
    "quantile"
  ),
  ready: gauge(
    "lightningstream_ready",
    "1 once the snapshots that were in the bucket at the start are merged and our own is stored, 0 before",
    "lmdb"
  ),
  stale: gauge("lightningstream_stale", "1 if the LMDB is stale, so that nothing is sent, otherwise 0", "lmdb"),
  unsent: gauge(
    "lightningstream_unsent_seconds",
    "Time that the oldest unsent change of the application has been waiting to be stored, 0 if there is none",
    "lmdb"
  ),
  sends: counter(
    "lightningstream_sends_total",
    "Snapshots by result: stored, unchanged (no entry had changed, nothing was sent), superseded (by a newer state), failed (could not be made), or aborted",
    "lmdb",
    "result"
  ),
  storedObjects: counter(
    "lightningstream_stored_objects_total",
    "Objects that were stored, by kind: snapshot (full snapshots) or delta",
    "lmdb",
    "kind"
  ),
  clockBehind: counter(
    "lightningstream_clock_behind_total",
    "Snapshots that were made while the clock was behind our own newest snapshot",
    "lmdb"
  ),
  merges: counter(
    "lightningstream_merges_total",
    "Merges by kind (snapshot or delta) and result: merged, failed, or aborted",
    "lmdb",
    "kind",
    "result"
  ),
  behind: gauge(
    "lightningstream_instance_behind_seconds",
    "Time for which the newest snapshot of an instance has been listed without being merged, 0 once it is merged",
    "lmdb",
    "syncer_instance"
  ),
  deltaGaps: counter(
    "lightningstream_delta_gaps_total",
    "Number of times that the object that deltas of an instance build on was missing for 10 listings",
    "lmdb",
    "syncer_instance"
  ),
  ahead: gauge(
    "lightningstream_instance_ahead_seconds",
    "Time by which the newest snapshot of an instance is ahead of our clock, 0 if it is not",
    "lmdb",
    "syncer_instance"
  ),
  lastMerged: gauge(
    "lightningstream_instance_last_merged_seconds",
    "Time of the newest merged snapshot of an instance, in seconds since the UNIX epoch",
    "lmdb",
    "syncer_instance"
  ),
  budgetBytes: gauge(
    "lightningstream_budget_bytes",
    "Compressed size of the snapshots that hold a permit of a memory budget, as far as they are downloaded",
    "lmdb",
    "limit_name"
  ),
  quarantined: gauge("lightningstream_quarantined_snapshots", "Snapshots that are quarantined now", "lmdb"),
  quarantines: counter(
    "lightningstream_quarantines_total",
    "Snapshots that were quarantined, by reason: corrupt, refused, or stale",
    "lmdb",
    "reason"
  ),
  entries: counter(
    "lightningstream_entries_total",
    "Entries by operation (dump, merge, sweep) and result: scanned, skipped (without being read), or written",
    "lmdb",
    "operation",
    "result"
  ),
  writeLock: histogram(
    "lightningstream_write_lock_seconds",
    lockBuckets,
    "Time for which a merge or a copy (in shadow mode, before a dump) held the write lock of the LMDB; for a sweep, the longest time without a break",
    "lmdb",
    "operation"
  ),
  storageBytes: counter(
    "lightningstream_storage_bytes_total",
    "Bytes of the contents of objects, by direction (up or down) and kind (snapshot, delta, marker or other)",
    "direction",
    "kind"
  ),
  oldestRead: gauge(
    "lightningstream_lmdb_oldest_read_seconds",
    "Age of our oldest open read transaction, 0 if none is open",
    "lmdb"
  ),
  statisticsAge: gauge(
    "lightningstream_lmdb_statistics_age_seconds",
    "Age of the lmdb_ metrics. It grows while their thread waits for the write lock that the application holds",
    "lmdb"
  ),
  sweeperFailed: counter("lightningstream_sweeper_failed_total", "Sweeps that ended with an error", "lmdb"),
  trackerPinAge: gauge(
    "lightningstream_tracker_pin_age_seconds",
    "Age of the read transaction that changed keys are tracked from, 0 if there is none",
    "lmdb"
  ),
  trackerPendingKeys: gauge(
    "lightningstream_tracker_pending_keys",
    "Changed keys that the next copy to the shadow, or the next delta, will read",
    "lmdb"
  ),
  trackerPendingBytes: gauge("lightningstream_tracker_pending_bytes", "Memory that the pending keys use", "lmdb"),
  trackerGivenUp: counter(
    "lightningstream_tracker_given_up_total",
    "Number of times that changed keys could not be tracked, so that all entries had to be compared",
    "lmdb"
  )
} as const

export const families = { ...asLightningStream, ...ours } as const
