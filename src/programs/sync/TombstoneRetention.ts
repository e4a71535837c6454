/** Computes the retention of tombstones and the cut-off of merges from the settings. Source: docs/sync.md, Sweeper. */
import { Clock, Duration, Effect } from "effect"
import { Settings, type SettingsValues } from "../../services/Settings.ts"

const nanosPerDay = 86_400e9

export const retentionNanos = ({ sweeper }: SettingsValues): bigint =>
  BigInt(Math.round(sweeper.retention_days * nanosPerDay))

/**
 * Returns the age from which a merge adds no tombstones. It is shorter than the retention, so that tombstones are not
 * added shortly before they would be swept: by default by 1 % of the retention, at most by 75 %.
 */
const cutOffAge = (settings: SettingsValues): bigint => {
  const retention = retentionNanos(settings)
  const configured = Duration.toNanosUnsafe(settings.sweeper.retention_load_cutoff_duration)
  const earlier = configured <= 0n ? retention / 100n : configured
  const most = (retention * 3n) / 4n
  return retention - (earlier > most ? most : earlier)
}

/** Returns the time, in nanoseconds, before which a merge adds no tombstones, or undefined if the sweeper is off. */
export const cutOff = Effect.gen(function* () {
  const settings = yield* Settings
  if (!settings.sweeper.enabled) return undefined
  const now = yield* Clock.currentTimeNanos
  const at = now - cutOffAge(settings)
  return at > 0n ? at : 0n
})
