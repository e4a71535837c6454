/** What the command line asks for, decoded. Source: docs/cli.md. */
import type { Duration } from "effect"
import type { logFormats, logLevels, logTimestamps } from "./settings/values/LogOptions.ts"

export interface GlobalOptions {
  readonly config: string
  readonly instance: string | undefined
  readonly logLevel: (typeof logLevels)[number] | undefined
  readonly logFormat: (typeof logFormats)[number] | undefined
  readonly logTimestamp: (typeof logTimestamps)[number] | undefined
  /** Log the effective configuration. */
  readonly logConfig: boolean
  /** 0: none. */
  readonly minimumPid: number
  /** Of the whole command; zero: none. */
  readonly timeout: Duration.Duration
}

export interface SyncOptions {
  /** Undefined: as the file says. */
  readonly onlyOnce: boolean | undefined
  /** Exact names; empty: all. */
  readonly onlyDatabases: ReadonlyArray<string>
  readonly waitForMarkerFile: string | undefined
  /** What is older than the retention of tombstones is merged and sent all the same. */
  readonly acceptStale: boolean
}

export interface SnapshotsListOptions {
  readonly prefix: string
  readonly long: boolean
  readonly time: boolean
}

export interface SnapshotsDumpOptions {
  /** Of an object, or with `local` the path of a file. */
  readonly name: string
  readonly local: boolean
  /** Exact name, as text; undefined: all. */
  readonly dbi: string | undefined
  readonly format: "text" | "json"
}

export type Command =
  | { readonly _tag: "Sync"; readonly global: GlobalOptions; readonly options: SyncOptions }
  | { readonly _tag: "Receive"; readonly global: GlobalOptions; readonly options: SyncOptions }
  | { readonly _tag: "SnapshotsList"; readonly global: GlobalOptions; readonly options: SnapshotsListOptions }
  | { readonly _tag: "SnapshotsDump"; readonly global: GlobalOptions; readonly options: SnapshotsDumpOptions }
  | { readonly _tag: "DropShadow"; readonly global: GlobalOptions }
  /** Help and versions: goes to standard output as it is. */
  | { readonly _tag: "Print"; readonly text: string }

/** By key path, what wins over the configuration file. */
export const overridesOf = (global: GlobalOptions, options?: SyncOptions): Readonly<Record<string, string>> => {
  const all = {
    instance: global.instance,
    "log.level": global.logLevel,
    "log.format": global.logFormat,
    "log.timestamp": global.logTimestamp,
    only_once: options?.onlyOnce?.toString()
  }
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
