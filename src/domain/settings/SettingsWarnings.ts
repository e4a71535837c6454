/**
 * Warns about values that are accepted, as in Lightning Stream, but that make no sense or stand for another value. The
 * checks use the settings as written, before EffectiveSettings. Source: docs/configuration.md.
 */
import { Duration } from "effect"
import { format as formatMode } from "./values/FileMode.ts"
import { format } from "./values/GoDuration.ts"
import type { SettingsValues } from "./SettingsFile.ts"
import { isGiven, matching, textAt, type TreeMap } from "./SettingsTree.ts"

/** Returns the limit of the load cut-off, 75 % of the retention. */
export const cutoffLimit = (retentionDays: number): Duration.Duration =>
  Duration.millis(Math.floor(retentionDays * 86_400_000 * 0.75))

const sections = ["storage_list", "storage_load", "storage_store", "start"] as const

const health = (settings: SettingsValues): ReadonlyArray<string> =>
  sections.flatMap((name) => {
    const { error_duration, interval, warn_duration } = settings.health[name]
    const warnings: Array<string> = []
    if (Duration.isLessThan(interval, Duration.seconds(1)))
      warnings.push(`health.${name}.interval: ${format(interval)} counts as 1s`)
    for (const [key, duration] of Object.entries({ warn_duration, error_duration })) {
      if (Duration.isNegative(duration)) warnings.push(`health.${name}.${key}: ${format(duration)} counts as 0`)
    }
    if (Duration.isLessThan(error_duration, warn_duration)) {
      warnings.push(
        `health.${name}.warn_duration: ${format(warn_duration)} is above error_duration: there will be errors without a warning before`
      )
    }
    return warnings
  })

const sweeper = ({
  sweeper: { lock_duration, retention_days, retention_load_cutoff_duration: cutoff }
}: SettingsValues): ReadonlyArray<string> => {
  const warnings: Array<string> = []
  if (Duration.isZero(lock_duration))
    warnings.push("sweeper.lock_duration: 0 holds the write lock for as long as a sweep takes")
  if (Duration.isNegative(cutoff))
    warnings.push(
      `sweeper.retention_load_cutoff_duration: ${format(cutoff)} counts as 0, which is 1 % of the retention`
    )
  if (Duration.isGreaterThan(cutoff, cutoffLimit(retention_days))) {
    warnings.push(
      `sweeper.retention_load_cutoff_duration: ${format(cutoff)} counts as 75 % of the retention, ${format(cutoffLimit(retention_days))}`
    )
  }
  return warnings
}

const cleanup = ({ storage: { cleanup } }: SettingsValues): ReadonlyArray<string> =>
  (["must_keep_interval", "remove_old_instances_interval"] as const).flatMap((key) =>
    Duration.isNegative(cleanup[key]) ? [`storage.cleanup.${key}: ${format(cleanup[key])} counts as 0`] : []
  )

/** Warns about decimal file modes. Lightning Stream accepts them, too: 420 is 0644. */
const modes = (tree: TreeMap): ReadonlyArray<string> =>
  ["dir_mask", "file_mask"]
    .flatMap((key) => matching(tree, `lmdbs.*.options.${key}`))
    .flatMap((path) => {
      const text = textAt(tree, path) ?? ""
      return /^[1-9]\d*$/.test(text)
        ? [`${path.join(".")}: ${text} is decimal: if that is what you mean, write ${formatMode(Number(text))}`]
        : []
    })

/** Warns about flags that native mode ignores, because it creates DBIs without flags only. */
const createFlags = ({ lmdbs }: SettingsValues): ReadonlyArray<string> =>
  Object.entries(lmdbs).flatMap(([name, { dbi_options, schema_tracks_changes }]) =>
    Object.entries(dbi_options).flatMap(([dbi, { override_create_flags = 0 }]) =>
      schema_tracks_changes && override_create_flags !== 0
        ? [
            `lmdbs.${name}.dbi_options.${dbi}.override_create_flags: not used: with schema_tracks_changes: true all DBIs are created without flags`
          ]
        : []
    )
  )

const storage = (settings: SettingsValues, tree: TreeMap): ReadonlyArray<string> => {
  const given = (key: string) => isGiven(tree, ["storage", "options", key])
  const warnings: Array<string> = []
  if (settings.storage.root_path !== undefined) {
    warnings.push(
      `storage.root_path: deprecated: ${settings.storage.type === "fs" ? "move it to storage.options.root_path" : "remove it, only fs has one"}`
    )
  }
  if (settings.storage.type === "memory")
    warnings.push("storage.type: memory is for tests: nothing is kept, and nothing reaches other instances")
  if (settings.storage.type === "azure" && !settings.storage.options.use_shared_key) {
    for (const key of ["account_key", "account_key_file"]) {
      if (given(key))
        warnings.push(
          `storage.options.${key}: without use_shared_key: true it is not used: Azure's default credential chain is`
        )
    }
  }
  if (settings.storage.type !== "s3") return warnings
  if (settings.storage.options.prefix_folders)
    warnings.push("storage.options.prefix_folders: deprecated: snapshots in directories are not listed then")
  if (given("access_key") !== given("secret_key") && !given("access_key_file")) {
    const [present, absent] = given("access_key") ? ["access_key", "secret_key"] : ["secret_key", "access_key"]
    warnings.push(`storage.options.${present}: without ${absent} it is not used: the default credential chain is`)
  }
  return warnings
}

const tls = (tree: TreeMap): ReadonlyArray<string> => {
  const path = ["storage", "options", "tls"]
  const both = ["ca", "cert", "key"].filter(
    (key) => isGiven(tree, [...path, key]) && isGiven(tree, [...path, `${key}_file`])
  )
  return [
    ...both.map((key) => `storage.options.tls.${key}: not used: ${key}_file wins`),
    ...(isGiven(tree, [...path, "require_client_cert"])
      ? ["storage.options.tls.require_client_cert: no effect for a client"]
      : [])
  ]
}

/** Returns the warnings. `tree` is the tree that the settings were decoded from. */
export const warningsOf = (settings: SettingsValues, tree: TreeMap): ReadonlyArray<string> => [
  ...modes(tree),
  ...createFlags(settings),
  ...sweeper(settings),
  ...storage(settings, tree),
  ...tls(tree),
  ...cleanup(settings),
  ...health(settings)
]
