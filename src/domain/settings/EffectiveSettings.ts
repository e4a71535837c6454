/**
 * Computes the effective settings: replaces 0 and empty values by the defaults that they stand for, and clamps values
 * to their limits.
 */
import { Duration } from "effect"
import { parse } from "./values/GoDuration.ts"
import type { SettingsValues, StorageSettings } from "./SettingsFile.ts"
import { cutoffLimit } from "./SettingsWarnings.ts"
import { type AzureOptions, type S3Options, timeOutDefaults } from "./StorageOptions.ts"

const notNegative = (duration: Duration.Duration): Duration.Duration => Duration.max(duration, Duration.zero)

const or = (duration: Duration.Duration, written: string): Duration.Duration =>
  Duration.isZero(duration) ? parse(written)! : duration

type Network = Pick<S3Options & AzureOptions, keyof S3Options & keyof AzureOptions>

const network = <Options extends Network>(options: Options): Options => {
  return {
    ...options,
    secrets_refresh_interval: or(options.secrets_refresh_interval, "15s"),
    tls: { ...options.tls, watch_certs_poll_interval: or(options.tls.watch_certs_poll_interval, "5s") },
    init_timeout: or(options.init_timeout, timeOutDefaults.init_timeout),
    idle_conn_timeout: or(options.idle_conn_timeout, timeOutDefaults.idle_conn_timeout),
    inactivity_timeout: or(options.inactivity_timeout, timeOutDefaults.inactivity_timeout),
    max_idle_conns: options.max_idle_conns || 100,
    dial_timeout: or(options.dial_timeout, timeOutDefaults.dial_timeout),
    dial_keep_alive: or(options.dial_keep_alive, timeOutDefaults.dial_keep_alive),
    tls_handshake_timeout: or(options.tls_handshake_timeout, timeOutDefaults.tls_handshake_timeout),
    client_timeout: or(options.client_timeout, timeOutDefaults.client_timeout),
    update_marker_force_list_interval: or(options.update_marker_force_list_interval, "5m")
  }
}

const storage = (section: StorageSettings): StorageSettings => {
  const cleanup = {
    ...section.cleanup,
    must_keep_interval: notNegative(section.cleanup.must_keep_interval),
    remove_old_instances_interval: notNegative(section.cleanup.remove_old_instances_interval)
  }
  switch (section.type) {
    case "s3": {
      const { endpoint_url, num_minio_threads, region } = section.options
      const options = {
        ...network(section.options),
        region: region || "us-east-1",
        endpoint_url: endpoint_url || "https://s3.amazonaws.com",
        num_minio_threads: num_minio_threads || 4
      }
      return { ...section, cleanup, options }
    }
    case "azure": {
      const { account_name, concurrency, endpoint_url } = section.options
      const options = {
        ...network(section.options),
        endpoint_url: endpoint_url || `https://${account_name}.blob.core.windows.net`,
        concurrency: concurrency || 1
      }
      return { ...section, cleanup, options }
    }
    case "fs":
      return { ...section, cleanup, options: { root_path: section.root_path || section.options.root_path } }
    case "memory":
      return { ...section, cleanup }
  }
}

type Health = SettingsValues["health"]

const check = <Section extends Health["storage_list"]>(section: Section): Section => ({
  ...section,
  interval: Duration.max(section.interval, Duration.seconds(1)),
  warn_duration: notNegative(section.warn_duration),
  error_duration: notNegative(section.error_duration)
})

const lmdb = (section: SettingsValues["lmdbs"][string]): SettingsValues["lmdbs"][string] => ({
  ...section,
  options: {
    ...section.options,
    max_dbs: section.options.max_dbs || 64,
    dir_mask: section.options.dir_mask || 0o775,
    file_mask: section.options.file_mask || 0o664
  }
})

export const effective = (settings: SettingsValues): SettingsValues => ({
  ...settings,
  lmdbs: Object.fromEntries(Object.entries(settings.lmdbs).map(([name, section]) => [name, lmdb(section)])),
  storage: storage(settings.storage),
  sweeper: {
    ...settings.sweeper,
    retention_load_cutoff_duration: Duration.min(
      notNegative(settings.sweeper.retention_load_cutoff_duration),
      cutoffLimit(settings.sweeper.retention_days)
    )
  },
  health: {
    storage_list: check(settings.health.storage_list),
    storage_load: check(settings.health.storage_load),
    storage_store: check(settings.health.storage_store),
    start: check(settings.health.start)
  }
})
