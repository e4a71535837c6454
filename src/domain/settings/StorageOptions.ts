/**
 * The section `storage.options` of each storage type, as written in the file. SettingsChecks has the checks across
 * keys, and EffectiveSettings the meaning of 0 and of empty values. Source: docs/configuration.md.
 */
import { Effect, Schema } from "effect"
import { durationAtLeast } from "./values/GoDuration.ts"
import {
  Endpoint,
  EndpointWithPath,
  integerAtLeast,
  Secret,
  Switch,
  Text,
  TextNotEmpty
} from "./values/SettingValues.ts"

/** The value of a missing key, as it would be written in the file. */
export const defaultsTo =
  (written: string | number | boolean | {}) =>
  <S extends Schema.Constraint>(schema: S) =>
    Schema.withDecodingDefaultKey<S>(Effect.succeed(written as S["Encoded"]))(schema)

const off = Switch.pipe(defaultsTo(false))
const empty = Text.pipe(defaultsTo(""))
const optionalSecret = Schema.optionalKey(Secret)

export const Tls = Schema.Struct({
  ca_file: empty,
  ca: empty,
  add_system_ca_pool: off,
  cert_file: empty,
  cert: empty,
  key_file: empty,
  key: optionalSecret,
  watch_certs: off,
  watch_certs_poll_interval: durationAtLeast("0s").pipe(defaultsTo("5s")),
  insecure_skip_verify: off,
  insecure_key_log_file: empty,
  require_client_cert: off
})

/** 0 stands for the default. */
const timeOut = (written: string) => durationAtLeast("0s").pipe(defaultsTo(written))

export const timeOutDefaults = {
  init_timeout: "20s",
  idle_conn_timeout: "1m30s",
  inactivity_timeout: "30s",
  dial_timeout: "10s",
  dial_keep_alive: "10s",
  tls_handshake_timeout: "10s",
  client_timeout: "15m0s"
} as const

/** Options that S3 and Azure have in common. */
const network = {
  secrets_refresh_interval: durationAtLeast("1s", true).pipe(defaultsTo("15s")),
  global_prefix: empty,
  tls: Tls.pipe(defaultsTo({})),
  init_timeout: timeOut(timeOutDefaults.init_timeout),
  idle_conn_timeout: timeOut(timeOutDefaults.idle_conn_timeout),
  inactivity_timeout: timeOut(timeOutDefaults.inactivity_timeout),
  max_idle_conns: integerAtLeast(0).pipe(defaultsTo(100)),
  dial_timeout: timeOut(timeOutDefaults.dial_timeout),
  dial_keep_alive: timeOut(timeOutDefaults.dial_keep_alive),
  tls_handshake_timeout: timeOut(timeOutDefaults.tls_handshake_timeout),
  client_timeout: timeOut(timeOutDefaults.client_timeout),
  use_update_marker: off,
  update_marker_force_list_interval: timeOut("5m0s")
}

export const S3Options = Schema.Struct({
  /** Without keys and key files, the SDK uses its default credential chain. */
  access_key: optionalSecret,
  secret_key: optionalSecret,
  /** Both key files must be given or neither. They take precedence over the keys. */
  access_key_file: empty,
  secret_key_file: empty,
  region: Text.pipe(defaultsTo("us-east-1")),
  bucket: TextNotEmpty,
  storage_class: empty,
  create_bucket: off,
  prefix_folders: off,
  hide_folders: off,
  endpoint_url: Endpoint.pipe(defaultsTo("https://s3.amazonaws.com")),
  disable_send_content_md5: off,
  num_minio_threads: integerAtLeast(0).pipe(defaultsTo(4)),
  ...network
})

export const AzureOptions = Schema.Struct({
  account_name: empty,
  account_key: optionalSecret,
  account_key_file: empty,
  use_shared_key: off,
  container: TextNotEmpty,
  create_container: off,
  /** Empty stands for `https://<account_name>.blob.core.windows.net`. */
  endpoint_url: EndpointWithPath.pipe(defaultsTo("")),
  concurrency: integerAtLeast(0).pipe(defaultsTo(1)),
  ...network
})

/** May be empty only when `storage.root_path` is given. */
export const FsOptions = Schema.Struct({ root_path: empty })

/** Any options are accepted, but none is used or kept, because there may be secrets among them. */
export const MemoryOptions = Schema.Struct({})

export type S3Options = typeof S3Options.Type
export type AzureOptions = typeof AzureOptions.Type
export type FsOptions = typeof FsOptions.Type
export type Tls = typeof Tls.Type
