/** Reads a configuration file as far as it can be understood without knowing the settings. */
import { Effect, FileSystem } from "effect"
import { type EnvironmentVariables, replaceVariables, unsetIn } from "../../domain/settings/EnvironmentVariables.ts"
import {
  isMap,
  type KeyPath,
  type Problem,
  type Tree,
  type TreeMap,
  withValue
} from "../../domain/settings/SettingsTree.ts"
import { Scalar } from "../../domain/settings/values/YamlScalar.ts"
import { InvalidSettings } from "../../services/Settings.ts"
import { mapOutsideComments } from "./YamlComments.ts"
import { parse } from "./YamlTree.ts"

export interface SettingsSource {
  /** Undefined when the text is not YAML. */
  readonly tree: TreeMap | undefined
  readonly problems: ReadonlyArray<Problem>
  /** Variables that are not set. The values that use them are not in the tree. */
  readonly unset: ReadonlyArray<Problem>
}

const textOf = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  return yield* Effect.mapError(fs.readFileString(file), ({ message, reason }) => {
    const problem =
      reason._tag === "NotFound" ? "there is no such file: name it with --config" : `it cannot be read: ${message}`
    return new InvalidSettings({ file, problems: [problem] })
  })
})

/** A database without any keys is present, but lacks its path. Other keys without a value are left out. */
const withBareDatabases = (tree: TreeMap, nulls: ReadonlyArray<KeyPath>): TreeMap =>
  nulls
    .filter((path) => path.length === 2 && path[0] === "lmdbs")
    .reduce((whole, path) => withValue(whole, path, {}), tree)

const unsetProblem = (path: KeyPath, name: string): Problem => ({
  path,
  message: `the environment variable ${name} is not set`
})

/** Returns the tree without the values that use unset variables, and adds a problem for each of those to `unset`. */
const withoutUnset = (tree: Tree, path: KeyPath, unset: Array<Problem>): Tree | undefined => {
  const isUnset = (text: string): boolean => {
    const names = unsetIn(text)
    unset.push(...names.map((name) => unsetProblem(path, name)))
    return names.length > 0
  }
  if (tree instanceof Scalar) return isUnset(tree.text) ? undefined : tree
  if (!isMap(tree)) return tree.map((item) => withoutUnset(item, path, unset)).filter((item) => item !== undefined)
  const entries = Object.entries(tree)
    .filter(([key]) => !isUnset(key))
    .map(([key, value]) => [key, withoutUnset(value, [...path, key], unset)] as const)
  return Object.fromEntries(entries.filter((entry): entry is readonly [string, Tree] => entry[1] !== undefined))
}

export const read = Effect.fnUntraced(function* (file: string, environment: EnvironmentVariables) {
  const text = yield* textOf(file)
  const replaced = mapOutsideComments(text, (part) => replaceVariables(part, environment))
  const { nulls, problems, tree } = parse(replaced)
  const unset: Array<Problem> = []
  const usable = tree && withoutUnset(withBareDatabases(tree, nulls), [], unset)
  // Names that are not in the tree, because the YAML is invalid there or they are part of an anchor's name.
  const lost = unsetIn(replaced)
    .map((name) => unsetProblem([], name))
    .filter(({ message }) => !unset.some((one) => one.message === message))
  return { tree: isMap(usable) ? usable : undefined, problems, unset: [...unset, ...lost] } satisfies SettingsSource
})
