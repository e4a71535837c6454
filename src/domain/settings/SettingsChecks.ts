/**
 * Finds contradictions between several keys of the configuration. The checks work on the file as written, so that these
 * problems are reported together with those of single keys, whether or not the file can be decoded. Source:
 * docs/configuration.md.
 */
import * as ShadowFlags from "../lmdb/ShadowFlags.ts"
import { parse as parseFlags } from "./values/DbiFlagsText.ts"
import { booleanOf, scalarOf } from "./values/YamlScalar.ts"
import { at, isGiven, isMap, type KeyPath, matching, type Problem, textAt, type TreeMap } from "./SettingsTree.ts"
import { databaseNameExpected, isDatabaseName } from "./values/SettingValues.ts"

const isOn = (tree: TreeMap, path: KeyPath): boolean => {
  const scalar = scalarOf(at(tree, path))
  return scalar !== undefined && booleanOf(scalar) === true
}

/**
 * Normalizes the text of a path. Links and paths with `..` that lead to the same file are detected when the files are
 * opened.
 */
const plainPath = (path: string): string => path.replace(/\/+/g, "/").replace(/(?<=.)\/(\.\/?)?$/, "")

const databases = (tree: TreeMap): ReadonlyArray<Problem> => {
  const lmdbs = at(tree, ["lmdbs"])
  if (lmdbs === undefined || (isMap(lmdbs) && Object.keys(lmdbs).length === 0)) {
    return [{ path: ["lmdbs"], message: "no database configured: at least one is needed, with its name and its path" }]
  }
  const problems: Array<Problem> = []
  const nameOf = new Map<string, string>()
  for (const path of matching(tree, "lmdbs.*")) {
    const name = path[1]!
    if (!isDatabaseName(name)) problems.push({ path, message: `expected ${databaseNameExpected}` })
    if (isOn(tree, [...path, "schema_tracks_changes"]) && isOn(tree, [...path, "dupsort_hack"])) {
      problems.push({
        path: [...path, "dupsort_hack"],
        message: "not with schema_tracks_changes: set one of the two to false"
      })
    }
    const file = plainPath(textAt(tree, [...path, "path"]) ?? "")
    if (file === "") continue
    const other = nameOf.get(file)
    if (other === undefined) nameOf.set(file, name)
    else
      problems.push({
        path: [...path, "path"],
        message: `the same as lmdbs.${other}.path: each LMDB can be configured only once`
      })
  }
  return problems
}

/** Reports flags that no DBI can be created with. Every snapshot that contains such a DBI would be refused. */
const createFlags = (tree: TreeMap): ReadonlyArray<Problem> =>
  matching(tree, "lmdbs.*.dbi_options.*.override_create_flags").flatMap((path) => {
    const database = path.slice(0, 2)
    const flags = parseFlags(textAt(tree, path) ?? "")
    if (flags === undefined) return []
    const impossible = ShadowFlags.impossible(flags)
    const problem = isOn(tree, [...database, "schema_tracks_changes"])
      ? impossible
      : ShadowFlags.problemOf(flags, isOn(tree, [...database, "dupsort_hack"]))
    if (problem === undefined) return []
    const remedy =
      impossible === undefined
        ? ""
        : ": write the flags that the application creates the DBI with; a DBI with these flags cannot be synced"
    return [{ path, message: `no DBI can be created with these flags: ${problem}${remedy}` }]
  })

const options = ["storage", "options"] as const

const tls = (tree: TreeMap): ReadonlyArray<Problem> => {
  const path = [...options, "tls"]
  const has = (key: string) => isGiven(tree, [...path, `${key}_file`]) || isGiven(tree, [...path, key])
  if (has("cert") === has("key")) return []
  return [{ path, message: "a client certificate needs both: cert_file or cert, and key_file or key" }]
}

const s3 = (tree: TreeMap): ReadonlyArray<Problem> => {
  const missing = (["access_key_file", "secret_key_file"] as const).filter((key) => !isGiven(tree, [...options, key]))
  if (missing.length !== 1) return []
  return [
    {
      path: [...options, missing[0]!],
      message: "access_key_file and secret_key_file go together: give both or neither"
    }
  ]
}

const azure = (tree: TreeMap): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const given = (key: string) => isGiven(tree, [...options, key])
  const shared = isOn(tree, [...options, "use_shared_key"])
  if (!given("account_name") && (shared || !given("endpoint_url"))) {
    problems.push({
      path: [...options, "account_name"],
      message: `required ${shared ? "with use_shared_key" : "without endpoint_url"}`
    })
  }
  if (shared && !given("account_key") && !given("account_key_file")) {
    problems.push({
      path: [...options, "account_key"],
      message: "use_shared_key needs account_key or account_key_file"
    })
  }
  if (!shared && /^http:/i.test(textAt(tree, [...options, "endpoint_url"]) ?? "")) {
    problems.push({
      path: [...options, "endpoint_url"],
      message: "http:// needs use_shared_key: Azure's default credentials are sent over https only"
    })
  }
  return problems
}

const fs = (tree: TreeMap): ReadonlyArray<Problem> =>
  isGiven(tree, ["storage", "root_path"]) || isGiven(tree, [...options, "root_path"])
    ? []
    : [{ path: [...options, "root_path"], message: "required" }]

const byType: Readonly<Record<string, (tree: TreeMap) => ReadonlyArray<Problem>>> = {
  s3: (tree) => [...s3(tree), ...tls(tree)],
  azure: (tree) => [...azure(tree), ...tls(tree)],
  fs
}

/** Returns the problems of a tree that concern several keys. */
export const crossChecks = (tree: TreeMap): ReadonlyArray<Problem> => [
  ...databases(tree),
  ...createFlags(tree),
  ...(byType[textAt(tree, ["storage", "type"]) ?? ""]?.(tree) ?? [])
]

/**
 * True for keys of credentials. If one of them is missing, commands that do not use the bucket can run nevertheless.
 */
export const isCredential = (path: KeyPath): boolean =>
  path[0] === "storage" && /^(?:access_key|secret_key|account_key)(?:_file)?$|^tls$/.test(path.at(-1) ?? "")
