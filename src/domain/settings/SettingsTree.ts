/**
 * A configuration file as it is written, before it is checked: maps, lists, and scalars that keep their text. Keys with
 * null are left out.
 */
import { Scalar } from "./values/YamlScalar.ts"

export type Tree = Scalar | ReadonlyArray<Tree> | TreeMap
export interface TreeMap {
  readonly [key: string]: Tree
}

export type KeyPath = ReadonlyArray<string>

/** What is wrong with one key. */
export interface Problem {
  /** Empty: the file as a whole. */
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

/** Neither absent nor empty text. */
export const isGiven = (tree: Tree, path: KeyPath): boolean => {
  const node = at(tree, path)
  return node !== undefined && !(node instanceof Scalar && node.text === "")
}

/** A copy with `value` at `path`; maps on the way are made. */
export const withValue = (tree: TreeMap, [key, ...rest]: KeyPath, value: Tree): TreeMap => {
  if (key === undefined) return tree
  const below = Object.hasOwn(tree, key) ? tree[key] : undefined
  return { ...tree, [key]: rest.length === 0 ? value : withValue(isMap(below) ? below : {}, rest, value) }
}

/** Of all scalars and lists. */
export const paths = (tree: Tree, path: KeyPath = []): ReadonlyArray<KeyPath> =>
  isMap(tree) ? Object.keys(tree).flatMap((key) => paths(tree[key]!, [...path, key])) : [path]

/**
 * Existing paths that match a pattern such as `lmdbs.*.path`; `*` stands for one key, which may contain dots. Also of
 * decoded settings.
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
