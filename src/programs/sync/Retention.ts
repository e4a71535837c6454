/** How long tombstones are kept, and from which age on a merge adds none. Source: docs/sync.md, Sweeper. */
import { Clock, Duration, Effect } from "effect"
import { Settings, type SettingsValues } from "../../services/Settings.ts"

const nanosPerDay = 86_400e9

export const retentionNanos = ({ sweeper }: SettingsValues): bigint =>
  BigInt(Math.round(sweeper.retention_days * nanosPerDay))

/**
 * A tombstone is not added a while before it would be swept, so that it does not come and go: 1 % of the retention, at
 * most 75 %.
 */
const cutOffAge = (settings: SettingsValues): bigint => {
  const retention = retentionNanos(settings)
  const configured = Duration.toNanosUnsafe(settings.sweeper.retention_load_cutoff_duration)
  const earlier = configured <= 0n ? retention / 100n : configured
  const most = (retention * 3n) / 4n
  return retention - (earlier > most ? most : earlier)
}

/** Tombstones older than this, in nanoseconds, are not added by a merge; undefined with the sweeper off. */
export const cutOff = Effect.gen(function* () {
  const settings = yield* Settings
  if (!settings.sweeper.enabled) return undefined
  const now = yield* Clock.currentTimeNanos
  const at = now - cutOffAge(settings)
  return at > 0n ? at : 0n
})
