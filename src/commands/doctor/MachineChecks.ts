/** The checks of `doctor` for this machine: the build, memory, and the spool directory. */
import { Duration, Effect } from "effect"
import * as CgroupMemory from "../../layers/doctor/CgroupMemory.ts"
import * as BuildCheck from "../../layers/lmdb/native/BuildCheck.ts"
import { version } from "../../layers/lmdb/native/NativeAddon.ts"
import * as SpoolDirectory from "../../layers/spool/SpoolDirectory.ts"
import * as BuildFindings from "../../programs/doctor/BuildFindings.ts"
import * as MemoryCheck from "../../programs/doctor/MemoryCheck.ts"
import * as SpoolCheck from "../../programs/doctor/SpoolCheck.ts"
import type { SettingsValues } from "../../services/Settings.ts"

export const build = BuildCheck.check.pipe(
  Effect.as(undefined),
  Effect.catch((problem) => Effect.succeed(problem)),
  Effect.map((problem) => BuildFindings.findings(version.versionString, problem))
)

export const memory = (settings: SettingsValues) =>
  Effect.map(CgroupMemory.limitBytes(), (limit) =>
    MemoryCheck.findings(settings, limit, Duration.toMillis(settings.merge_lock_duration) > 0)
  )

export const spool = Effect.fnUntraced(function* (
  { spool_directory: directory }: SettingsValues,
  largestBytes: number | undefined
) {
  return SpoolCheck.findings({
    directory,
    freeBytes: yield* SpoolDirectory.freeBytes(directory),
    largestBytes
  })
})
