/** The time for which tombstones are kept, and the age from which a merge adds none. Source: docs/sync.md, Sweeper. */
import { Clock, Duration, Effect } from "effect"
import { Settings, type SettingsValues } from "../../services/Settings.ts"

const nanosPerDay = 86_400e9

export const retentionNanos = ({ sweeper }: SettingsValues): bigint =>
  BigInt(Math.round(sweeper.retention_days * nanosPerDay))

/**
 * Returns the age from which tombstones are not added: a while before they would be swept, so that they do not come and
 * go. The default is 1 % of the retention earlier, the limit is 75 %.
 */
const cutOffAge = (settings: SettingsValues): bigint => {
  const retention = retentionNanos(settings)
  const configured = Duration.toNanosUnsafe(settings.sweeper.retention_load_cutoff_duration)
  const earlier = configured <= 0n ? retention / 100n : configured
  const most = (retention * 3n) / 4n
  return retention - (earlier > most ? most : earlier)
}

/** Time in nanoseconds: a merge adds no tombstones older than this. Undefined if the sweeper is off. */
export const cutOff = Effect.gen(function* () {
  const settings = yield* Settings
  if (!settings.sweeper.enabled) return undefined
  const now = yield* Clock.currentTimeNanos
  const at = now - cutOffAge(settings)
  return at > 0n ? at : 0n
})
