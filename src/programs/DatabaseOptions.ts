/** Turns the configuration of one database into the options of the `Database` service. */
import { Duration, Effect } from "effect"
import type { DatabaseOptions } from "../services/Database.ts"
import { withoutCreating } from "../services/Lmdb.ts"
import type { TaskTarget } from "../services/LmdbTask.ts"
import { InvalidSettings, type SettingsValues } from "../services/Settings.ts"

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
    deltas: false,
    mergeLockMillis: Duration.toMillis(settings.merge_lock_duration)
  }
}

/** Returns the target of a task. A missing file is not created. */
export const taskTarget = (settings: SettingsValues, database: string): TaskTarget => {
  const { lmdb, shadow } = databaseOptions(settings, database)
  return { database, lmdb: withoutCreating(lmdb), isNative: shadow === undefined }
}

/**
 * Returns the names of the databases that a command works on: all, or the one that the flag `flag` names. The error
 * message contains `file`, the path of the configuration.
 */
export const chosenNames = (settings: SettingsValues, file: string, flag: string, name: string | undefined) => {
  const names = Object.keys(settings.lmdbs).toSorted()
  if (name === undefined) return Effect.succeed(names)
  if (names.includes(name)) return Effect.succeed([name])
  const problem = `${flag} ${name}: there is no such database in lmdbs, only ${names.join(", ")}`
  return Effect.fail(new InvalidSettings({ file, problems: [problem] }))
}
