/**
 * `Settings` from a YAML file. Environment variables are replaced, and the values are decoded, checked and completed
 * with the defaults. An unknown key is an error, because a misspelled setting would otherwise silently keep its
 * default. All problems are reported together.
 */
import * as Os from "node:os"
import { Effect, Layer, Schema } from "effect"
import * as Yaml from "yaml"
import { effective } from "../../domain/settings/EffectiveSettings.ts"
import type { EnvironmentVariables } from "../../domain/settings/EnvironmentVariables.ts"
import { Scalar } from "../../domain/settings/values/YamlScalar.ts"
import { isCredential } from "../../domain/settings/SettingsChecks.ts"
import { decodeTree } from "../../domain/settings/SettingsDecoding.ts"
import { SettingsFile, type SettingsValues } from "../../domain/settings/SettingsFile.ts"
import {
  at,
  isGiven,
  isMap,
  type KeyPath,
  paths,
  type Problem,
  textAt,
  type TreeMap,
  withValue
} from "../../domain/settings/SettingsTree.ts"
import { warningsOf } from "../../domain/settings/SettingsWarnings.ts"
import { InvalidSettings, Settings } from "../../services/Settings.ts"
import * as SpoolDirectory from "../spool/SpoolDirectory.ts"
import * as SettingsSource from "./SettingsSource.ts"

export interface Options {
  readonly file: string
  /**
   * False for commands that never use the bucket. An unset variable or a missing secret in `storage` is then not an
   * error. Default: true.
   */
  readonly usesBucket?: boolean | undefined
  /** Values from the command line that override the file, by key path. */
  readonly overrides?: Readonly<Record<string, string>> | undefined
  /** Default: the environment of the process. */
  readonly environment?: EnvironmentVariables | undefined
}

export interface Loaded {
  readonly settings: SettingsValues
  /** Warnings about values that are valid but make no sense, each beginning with the key path. The caller logs them. */
  readonly warnings: ReadonlyArray<string>
  /** Key paths that are present in the file. */
  readonly explicit: ReadonlyArray<KeyPath>
}

/** Fills in the defaults that depend on the machine. */
const withDefaults = (tree: TreeMap, environment: EnvironmentVariables): TreeMap => {
  const lmdbs = at(tree, ["lmdbs"])
  const databases = isMap(lmdbs) ? Object.keys(lmdbs).length : 1
  const defaults = {
    instance: Os.hostname(),
    spool_directory: environment.TMPDIR || "/var/tmp",
    database_workers: String(Math.max(1, Math.min(databases, Os.availableParallelism(), 4)))
  }
  const missing = Object.entries(defaults).filter(([key]) => !isGiven(tree, [key]))
  return missing.reduce((filled, [key, value]) => withValue(filled, [key], new Scalar(value)), tree)
}

/** Problems, by what found them. */
interface Found {
  /** Problems of the text, such as a duplicate key. */
  readonly source: ReadonlyArray<Problem>
  /** Problems of single values, and of values that contradict each other. */
  readonly values: ReadonlyArray<Problem>
  /** Variables that are not set. */
  readonly unset: ReadonlyArray<Problem>
  readonly spool: ReadonlyArray<Problem>
}

const isBelow = (path: KeyPath, above: KeyPath): boolean =>
  above.length > 0 && above.every((key, index) => key === path[index])

/**
 * Returns the problems that are errors. A value whose variable is not set is reported once, and not as a missing key as
 * well. Commands that do not use the bucket need neither its credentials nor the variables in `storage`.
 */
const errorsOf = ({ source, spool, unset, values }: Found, usesBucket: boolean): ReadonlyArray<Problem> => {
  const isCausedByUnset = ({ path }: Problem) => unset.some((one) => isBelow(path, one.path))
  return [
    ...source,
    ...values.filter((problem) => !isCausedByUnset(problem) && (usesBucket || !isCredential(problem.path))),
    ...unset.filter(({ path }) => usesBucket || path[0] !== "storage"),
    ...spool
  ]
}

/** Settings of a command that does not use the bucket: type `memory` stands in for the values that are unknown. */
const withoutBucket = (tree: TreeMap) =>
  decodeTree(withValue(tree, ["storage"], { type: new Scalar("memory") })).settings

const lineOf = ({ message, path }: Problem): string =>
  `${path.length === 0 ? "(the file)" : path.join(".")}: ${message}`

const withOverrides = (tree: TreeMap, overrides: Readonly<Record<string, string>>): TreeMap =>
  Object.entries(overrides).reduce((whole, [key, value]) => withValue(whole, key.split("."), new Scalar(value)), tree)

const spoolDirectory = (tree: TreeMap): string => textAt(tree, ["spool_directory"]) ?? ""

const spoolProblems = Effect.fnUntraced(function* (tree: TreeMap) {
  const directory = spoolDirectory(tree)
  const message = directory === "" ? undefined : yield* SpoolDirectory.problemOf(directory)
  return message === undefined ? [] : [{ path: ["spool_directory"], message } satisfies Problem]
})

export const load = Effect.fn("SettingsYaml.load")(function* (options: Options) {
  const { file, overrides = {}, usesBucket = true } = options
  const environment = options.environment ?? process.env
  const invalid = (problems: ReadonlyArray<Problem>) =>
    new InvalidSettings({ file, problems: [...new Set(problems.map(lineOf))] })
  const source = yield* SettingsSource.read(file, environment)
  if (source.tree === undefined) return yield* invalid([...source.problems, ...source.unset])
  const given = withOverrides(source.tree, overrides)
  const tree = withDefaults(given, environment)
  const decoded = decodeTree(tree)
  const spool = yield* spoolProblems(tree)
  const errors = errorsOf(
    {
      source: source.problems,
      values: decoded.problems,
      unset: source.unset,
      // Only a warning for the default directory, because only the commands that spool need it.
      spool: isGiven(given, ["spool_directory"]) ? spool : []
    },
    usesBucket
  )
  const settings = decoded.settings ?? (usesBucket || errors.length > 0 ? undefined : withoutBucket(tree))
  if (settings === undefined || errors.length > 0) return yield* invalid(errors)
  return {
    settings: effective(settings),
    warnings: [
      ...warningsOf(settings, tree),
      ...spool.map(lineOf),
      ...(yield* SpoolDirectory.warningsOf(spoolDirectory(tree)))
    ],
    explicit: paths(source.tree)
  } satisfies Loaded
})

export const layer = (options: Options) =>
  Layer.effect(
    Settings,
    Effect.map(load(options), ({ settings }) => settings)
  )

const encode = Schema.encodeSync(SettingsFile)

/** Returns the values as the file would have them, with all defaults. Secrets are hidden. */
export const encodeSettings = (settings: SettingsValues): unknown => encode(settings)

export const effectiveYaml = (settings: SettingsValues): string => Yaml.stringify(encodeSettings(settings))
