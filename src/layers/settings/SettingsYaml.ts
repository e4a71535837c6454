/**
 * `Settings` from a YAML file. Environment variables are replaced, and the values are decoded, checked and completed
 * with the defaults. An unknown key is an error, because a misspelled setting would otherwise silently keep its
 * default. All problems are reported together.
 */
import * as Os from "node:os"
import { Effect, FileSystem, Layer, Schema } from "effect"
import * as Yaml from "yaml"
import { effective } from "../../domain/settings/EffectiveSettings.ts"
import { type EnvironmentVariables, replaceVariables, unsetIn } from "../../domain/settings/EnvironmentVariables.ts"
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
  type Tree,
  type TreeMap,
  withValue
} from "../../domain/settings/SettingsTree.ts"
import { warningsOf } from "../../domain/settings/SettingsWarnings.ts"
import { InvalidSettings, Settings } from "../../services/Settings.ts"
import * as SpoolDirectory from "../spool/SpoolDirectory.ts"
import { mapOutsideComments, parse } from "./YamlTree.ts"

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

const unsetProblem = (path: KeyPath, name: string): Problem => ({
  path,
  message: `the environment variable ${name} is not set`
})

/** Removes values with unset variables from the tree. */
const withoutUnset = (tree: Tree, path: KeyPath, problems: Array<Problem>): Tree | undefined => {
  const isUnset = (text: string, at: KeyPath): boolean => {
    const names = unsetIn(text)
    problems.push(...names.map((name) => unsetProblem(at, name)))
    return names.length > 0
  }
  if (tree instanceof Scalar) return isUnset(tree.text, path) ? undefined : tree
  if (!isMap(tree)) return tree.map((item) => withoutUnset(item, path, problems)).filter((item) => item !== undefined)
  const entries = Object.entries(tree)
    .filter(([key]) => !isUnset(key, path))
    .map(([key, value]) => [key, withoutUnset(value, [...path, key], problems)] as const)
  return Object.fromEntries(entries.filter((entry): entry is readonly [string, Tree] => entry[1] !== undefined))
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

interface Written {
  /** Undefined when the text is not YAML. */
  readonly tree: TreeMap | undefined
  readonly problems: ReadonlyArray<Problem>
  /** Separate from the other problems, because some commands do not need the values in `storage`. */
  readonly unset: ReadonlyArray<Problem>
}

const read = Effect.fnUntraced(function* (file: string, environment: EnvironmentVariables) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(
    fs.readFileString(file),
    (error) =>
      new InvalidSettings({
        file,
        problems: [
          error.reason._tag === "NotFound"
            ? "there is no such file: name it with --config"
            : `it cannot be read: ${error.message}`
        ]
      })
  )
  const replaced = mapOutsideComments(text, (part) => replaceVariables(part, environment))
  const { nulls, problems, tree: parsed } = parse(replaced)
  // A database without any keys is present but lacks its path.
  const bare = nulls.filter((path) => path.length === 2 && path[0] === "lmdbs")
  const tree = parsed && bare.reduce((whole, path) => withValue(whole, path, {}), parsed)
  const unset: Array<Problem> = []
  const usable = tree && withoutUnset(tree, [], unset)
  // Names that are not in the tree, because the YAML is invalid there or they are part of an anchor's name.
  const lost = unsetIn(replaced)
    .map((name) => unsetProblem([], name))
    .filter(({ message }) => !unset.some((one) => one.message === message))
  return { tree: isMap(usable) ? usable : undefined, problems, unset: [...unset, ...lost] } satisfies Written
})

const isStorage = ({ path }: Problem): boolean => path[0] === "storage"

const isBelow = (path: KeyPath, above: KeyPath): boolean =>
  above.length > 0 && above.every((key, index) => key === path[index])

/**
 * Returns the settings of a tree and their problems. An unset variable is reported once, and not as a missing key as
 * well.
 */
const check = (tree: TreeMap, unset: ReadonlyArray<Problem>, usesBucket: boolean) => {
  const { problems, settings } = decodeTree(tree)
  const caused = problems.filter(({ path }) => !unset.some((one) => isBelow(path, one.path)))
  if (usesBucket) return { settings, problems: [...caused, ...unset] }
  const left = [...caused.filter(({ path }) => !isCredential(path)), ...unset.filter((one) => !isStorage(one))]
  if (left.length > 0 || settings !== undefined) return { settings, problems: left }
  // The command does not use the bucket, so type `memory` stands in for the values that are unknown.
  return { settings: decodeTree(withValue(tree, ["storage"], { type: new Scalar("memory") })).settings, problems: left }
}

const lineOf = ({ message, path }: Problem): string =>
  `${path.length === 0 ? "(the file)" : path.join(".")}: ${message}`

export const load = Effect.fn("SettingsYaml.load")(function* (options: Options) {
  const { file, overrides = {}, usesBucket = true } = options
  const environment = options.environment ?? process.env
  const invalid = (problems: ReadonlyArray<Problem>) =>
    new InvalidSettings({ file, problems: [...new Set(problems.map(lineOf))] })
  const written: Written = yield* read(file, environment)
  if (written.tree === undefined) return yield* invalid([...written.problems, ...written.unset])
  const overridden = Object.entries(overrides).reduce(
    (tree, [key, value]) => withValue(tree, key.split("."), new Scalar(value)),
    written.tree
  )
  const tree = withDefaults(overridden, environment)
  const { problems, settings } = check(tree, written.unset, usesBucket)
  const directory = textAt(tree, ["spool_directory"]) ?? ""
  const spool = directory === "" ? undefined : yield* SpoolDirectory.problemOf(directory)
  const spoolProblem: ReadonlyArray<Problem> =
    spool === undefined ? [] : [{ path: ["spool_directory"], message: spool }]
  const isExplicit = isGiven(overridden, ["spool_directory"])
  const all = [...written.problems, ...problems, ...(isExplicit ? spoolProblem : [])]
  if (settings === undefined || all.length > 0) return yield* invalid(all)
  return {
    settings: effective(settings),
    // Only a warning for the default directory, because only the commands that spool need it.
    warnings: [
      ...warningsOf(settings, tree),
      ...spoolProblem.map(lineOf),
      ...(yield* SpoolDirectory.warningsOf(directory))
    ],
    explicit: paths(written.tree)
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
