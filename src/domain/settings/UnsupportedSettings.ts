/**
 * What the configuration file can say and this version cannot do yet. Nothing is parsed and then ignored in silence:
 * `sync` warns about it, by key path. One line each: when it works, its line goes.
 */
import type { KeyPath } from "./SettingsTree.ts"

/** Only worth a word when the file has it, whatever the value. */
const withoutEffect: ReadonlyArray<readonly [keyPath: string, what: string]> = [
  ["lmdb_log_stats_interval", "statistics in the log"],
  ["lmdb_scrape_smaps", "statistics of mapped memory"]
]

/** Messages, the key path first. `explicit`: the key paths that the file has. */
export const withoutEffectYet = (explicit: ReadonlyArray<KeyPath>): ReadonlyArray<string> =>
  withoutEffect.flatMap(([pattern, what]) => {
    const keys = pattern.split(".")
    const isBelow = (path: KeyPath) => keys.every((key, index) => key === "*" || key === path[index])
    const names = new Set(explicit.filter(isBelow).map((path) => path.slice(0, keys.length).join(".")))
    return [...names].map((name) => `${name}: no effect in this version yet: ${what}`)
  })
