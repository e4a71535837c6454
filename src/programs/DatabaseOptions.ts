/** Turns the configuration of one database into the options of the `Database` service. */
import { Duration } from "effect"
import type { DatabaseOptions } from "../services/Database.ts"
import type { SettingsValues } from "../services/Settings.ts"

export const databaseOptions = (settings: SettingsValues, name: string): DatabaseOptions => {
  const { dbi_options, dupsort_hack, header_extra_padding_block, options, path, schema_tracks_changes } =
    settings.lmdbs[name]!
  const createFlags = Object.entries(dbi_options).flatMap(([dbi, { override_create_flags }]) =>
    override_create_flags === undefined ? [] : [[dbi, override_create_flags] as const]
  )
  return {
    name,
    ...(schema_tracks_changes
      ? {}
      : { shadow: { dupsortHack: dupsort_hack, createFlags: Object.fromEntries(createFlags) } }),
    lmdb: {
      path,
      noSubdir: options.no_subdir,
      create: options.create,
      mapSize: options.map_size,
      maxDbs: options.max_dbs,
      dirMask: options.dir_mask,
      fileMask: options.file_mask
    },
    paddingBlock: header_extra_padding_block,
    mergeLockMillis: Duration.toMillis(settings.merge_lock_duration)
  }
}
