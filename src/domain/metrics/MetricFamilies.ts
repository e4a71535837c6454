/**
 * Every metric that /metrics shows. A series with labels appears with its first event, one without labels at 0.
 * docs/monitoring.md has a table of them, which scripts/document-metrics.ts makes.
 */
import { counter, gauge, summary } from "./MetricFamily.ts"

/** Names, types, labels and buckets are those of Lightning Stream, so that its dashboards and alerts go on working. */
export const asLightningStream = {
  cleanerLists: counter("lightningstream_cleaner_list_calls_total", "Listings of the bucket by the cleaner"),
  cleanerListsFailed: counter("lightningstream_cleaner_list_failed_total", "Listings by the cleaner that failed"),
  cleanerDeletes: counter(
    "lightningstream_cleaner_delete_total",
    "Attempts of the cleaner to delete a snapshot, by reason",
    "lmdb",
    "reason"
  ),
  cleanerDeletesFailed: counter(
    "lightningstream_cleaner_delete_failed_total",
    "Attempts of the cleaner to delete a snapshot that failed"
  ),

  sweeperCleaned: counter("lightningstream_sweeper_cleaned_total", "Tombstones that the sweeper has removed", "lmdb"),
  sweeperAvailable: gauge("lightningstream_sweeper_stats_available", "1 once a sweep has ended, else absent", "lmdb"),
  sweeperEntries: gauge(
    "lightningstream_sweeper_stats_total_entries",
    "Entries after the last sweep, tombstones included",
    "lmdb"
  ),
  sweeperDeleted: gauge("lightningstream_sweeper_stats_deleted_entries", "Tombstones after the last sweep", "lmdb"),
  sweeperDuration: summary("lightningstream_sweeper_duration_seconds", "Duration of the sweeps", "lmdb"),

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

/** In addition. */
export const ours = {
  buildInfo: gauge(
    "lightningstream_build_info",
    "1; the labels are the versions of this program and of Node",
    "version",
    "node"
  ),
  ready: gauge(
    "lightningstream_ready",
    "1 once what was in the bucket at the start is merged and ours is stored, else 0",
    "lmdb"
  ),
  sweeperFailed: counter("lightningstream_sweeper_failed_total", "Sweeps that ended with an error", "lmdb")
} as const

export const families = { ...asLightningStream, ...ours } as const
