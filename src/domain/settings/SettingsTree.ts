/**
 * A configuration file as written, before it is checked: maps, lists, and scalars that keep their text. Keys whose
 * value is null are left out.
 */
import { Scalar } from "./values/YamlScalar.ts"

export type Tree = Scalar | ReadonlyArray<Tree> | TreeMap
export interface TreeMap {
  readonly [key: string]: Tree
}

export type KeyPath = ReadonlyArray<string>

/** A problem with one key. */
export interface Problem {
  /** Path of the key. Empty when the problem concerns the file as a whole. */
  readonly path: KeyPath
  readonly message: string
}

export const isMap = (tree: Tree | undefined): tree is TreeMap =>
  typeof tree === "object" && !Array.isArray(tree) && !(tree instanceof Scalar)

export const at = (tree: Tree | undefined, path: KeyPath): Tree | undefined => {
  let node = tree
  for (const key of path) node = isMap(node) && Object.hasOwn(node, key) ? node[key] : undefined
  return node
}

export const textAt = (tree: Tree, path: KeyPath): string | undefined => {
  const node = at(tree, path)
  return node instanceof Scalar ? node.text : undefined
}

/** True when the key is present and its value is not empty. */
export const isGiven = (tree: Tree, path: KeyPath): boolean => {
  const node = at(tree, path)
  return node !== undefined && !(node instanceof Scalar && node.text === "")
}

/** Returns a copy with `value` at `path`. Missing maps on the way are created. */
export const withValue = (tree: TreeMap, [key, ...rest]: KeyPath, value: Tree): TreeMap => {
  if (key === undefined) return tree
  const below = Object.hasOwn(tree, key) ? tree[key] : undefined
  return { ...tree, [key]: rest.length === 0 ? value : withValue(isMap(below) ? below : {}, rest, value) }
}

/** Returns the paths of all scalars and lists. */
export const paths = (tree: Tree, path: KeyPath = []): ReadonlyArray<KeyPath> =>
  isMap(tree) ? Object.keys(tree).flatMap((key) => paths(tree[key]!, [...path, key])) : [path]

/**
 * Returns the existing paths that match a pattern such as `lmdbs.*.path`. `*` stands for one key, which may contain
 * dots. Accepts decoded settings, too.
 */
export const matching = (tree: unknown, pattern: string): ReadonlyArray<KeyPath> => {
  let found: ReadonlyArray<readonly [KeyPath, unknown]> = [[[], tree]]
  for (const key of pattern.split(".")) {
    found = found.flatMap(([path, node]) => {
      if (typeof node !== "object" || node === null || node instanceof Scalar) return []
      const below = key === "*" ? Object.entries(node) : Object.entries(node).filter(([name]) => name === key)
      return below.map(([name, value]) => [[...path, name], value] as const)
    })
  }
  return found.map(([path]) => path)
}
