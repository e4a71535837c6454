/**
 * Decodes a configuration tree and reports every problem in it, each with its key, its value (unless it is a secret)
 * and the values that are allowed.
 */
import { Exit, Schema, SchemaIssue } from "effect"
import { Scalar } from "./values/YamlScalar.ts"
import { crossChecks } from "./SettingsChecks.ts"
import { LmdbSection, SettingsFile, type SettingsValues, storageTypes } from "./SettingsFile.ts"
import { at, isMap, type KeyPath, type Problem, textAt, type TreeMap } from "./SettingsTree.ts"

const decode = Schema.decodeUnknownExit(SettingsFile, { onExcessProperty: "error", errors: "all" })

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    if (issue._tag === "MissingKey") return "required"
    if (issue._tag === "UnexpectedKey") {
      const known = issue.ast._tag === "Objects" ? issue.ast.propertySignatures.map(({ name }) => String(name)) : []
      return `unknown key: expected one of ${known.toSorted().join(", ")}`
    }
    if (issue._tag === "InvalidType" && issue.ast._tag === "Objects") return "expected a map"
    return SchemaIssue.defaultLeafHook(issue).replace("Expected", "expected")
  },
  checkHook: (issue) => SchemaIssue.defaultCheckHook(issue) ?? `expected ${String(issue.filter.annotations?.expected)}`
})

const keyOf = (segment: PropertyKey | { readonly key: PropertyKey }): string =>
  String(typeof segment === "object" ? segment.key : segment)

/** A URL may contain a password, and its query a signature. */
const withoutSecrets = (text: string): string =>
  text.replace(/\/\/.*@/s, "//<hidden>@").replace(/(:\/\/[^?#]*[?#]).*/s, "$1<hidden>")

const valueOf = (tree: TreeMap, path: KeyPath): string => {
  const node = at(tree, path)
  if (node === undefined || isMap(node)) return ""
  if (!(node instanceof Scalar)) return ", not a list"
  // A secret may be any text, so its value is never reported as wrong.
  return path.length === 0 ? "" : `, not ${JSON.stringify(withoutSecrets(node.text))}`
}

/**
 * Prepares the storage section for the schema: `type` becomes plain text, so that it selects the options. An unusable
 * type is replaced by `memory`.
 */
const decodable = (tree: TreeMap): unknown => {
  const storage = at(tree, ["storage"])
  const type = textAt(tree, ["storage", "type"])
  const section = isMap(storage) ? storage : {}
  const known = storageTypes.some((name) => name === type)
  return {
    ...tree,
    storage: known && type !== "memory" ? { ...section, type } : { ...section, type: "memory", options: {} }
  }
}

const storageProblems = (tree: TreeMap): ReadonlyArray<Problem> => {
  const storage = at(tree, ["storage"])
  if (storage !== undefined && !isMap(storage))
    return [{ path: ["storage"], message: `expected a map${valueOf(tree, ["storage"])}` }]
  const type = textAt(tree, ["storage", "type"])
  const path = ["storage", "type"]
  if (type === undefined) return [{ path, message: `required: one of ${storageTypes.join(", ")}` }]
  return storageTypes.some((name) => name === type)
    ? []
    : [{ path, message: `expected one of ${storageTypes.join(", ")}${valueOf(tree, path)}` }]
}

/** Decodes a tree and returns its problems. `below` is the tree's path in the file. */
const schemaProblems = (
  exit: Exit.Exit<unknown, Schema.SchemaError>,
  tree: TreeMap,
  below: KeyPath = []
): ReadonlyArray<Problem> =>
  Exit.isSuccess(exit)
    ? []
    : exit.cause.reasons.flatMap((reason) => {
        if (reason._tag !== "Fail") return []
        return formatIssues(reason.error.issue).issues.map(({ message, path: keys = [] }) => {
          const path = [...below, ...keys.map(keyOf)]
          return { path, message: message.startsWith("expected") ? message + valueOf(tree, path) : message }
        })
      })

const decodeLmdb = Schema.decodeUnknownExit(LmdbSection, { onExcessProperty: "error", errors: "all" })

/**
 * A record schema of Effect stops at its first mistake, whatever `errors` says. Each database is therefore decoded
 * separately, so that the mistakes of all databases are reported.
 */
const lmdbProblems = (tree: TreeMap): ReadonlyArray<Problem> => {
  const lmdbs = at(tree, ["lmdbs"])
  if (!isMap(lmdbs)) return []
  return Object.entries(lmdbs).flatMap(([name, section]) => schemaProblems(decodeLmdb(section), tree, ["lmdbs", name]))
}

/** Replaces the problems that were found in `lmdbs` by those of all databases. */
const withAllOfLmdbs = (problems: ReadonlyArray<Problem>, tree: TreeMap): ReadonlyArray<Problem> => {
  const place = problems.findIndex(isOfOneLmdb)
  return place < 0
    ? problems
    : [
        ...problems.slice(0, place),
        ...lmdbProblems(tree),
        ...problems.slice(place).filter((problem) => !isOfOneLmdb(problem))
      ]
}

const isOfOneLmdb = ({ path }: Problem): boolean => path[0] === "lmdbs" && path.length > 1

export interface Decoded {
  /**
   * The settings as written, before EffectiveSettings. Undefined when the problem of a single key prevents decoding.
   */
  readonly settings: SettingsValues | undefined
  readonly problems: ReadonlyArray<Problem>
}

export const decodeTree = (tree: TreeMap): Decoded => {
  const exit = decode(decodable(tree))
  return {
    settings: Exit.isSuccess(exit) ? exit.value : undefined,
    problems: [...withAllOfLmdbs(schemaProblems(exit, tree), tree), ...storageProblems(tree), ...crossChecks(tree)]
  }
}
