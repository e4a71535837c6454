/**
 * What the configuration file can say and this version cannot do yet. Nothing is parsed and then ignored in silence:
 * `sync` refuses the first list, by key path, and warns about the second. One line each: when it works, its line goes.
 */
import type { SettingsValues } from "./SettingsFile.ts"
import { type KeyPath, matching } from "./SettingsTree.ts"

type Rule = readonly [keyPath: string, matters: (value: unknown, settings: SettingsValues) => boolean, what: string]

const refused: ReadonlyArray<Rule> = [
  // There is none with --only-once anyway.
  ["http.address", (value, { only_once }) => value !== "" && !only_once, "the HTTP server: remove it"]
]

/** Only worth a word when the file has it, whatever the value. */
const withoutEffect: ReadonlyArray<readonly [keyPath: string, what: string]> = [
  ["lmdb_log_stats_interval", "statistics in the log"],
  ["lmdb_scrape_smaps", "statistics of mapped memory"],
  ["health", "/healthz"]
]

/** Messages, the key path first. */
export const notYetSupported = (settings: SettingsValues): ReadonlyArray<string> =>
  refused.flatMap(([pattern, matters, what]) =>
    matching(settings, pattern).flatMap((path) => {
      const value = path.reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], settings)
      return matters(value, settings) ? [`${path.join(".")}: ${String(value)}: not in this version yet: ${what}`] : []
    })
  )

/** `explicit`: the key paths that the file has. */
export const withoutEffectYet = (explicit: ReadonlyArray<KeyPath>): ReadonlyArray<string> =>
  withoutEffect.flatMap(([pattern, what]) => {
    const keys = pattern.split(".")
    const isBelow = (path: KeyPath) => keys.every((key, index) => key === "*" || key === path[index])
    const names = new Set(explicit.filter(isBelow).map((path) => path.slice(0, keys.length).join(".")))
    return [...names].map((name) => `${name}: no effect in this version yet: ${what}`)
  })
