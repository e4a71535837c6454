/**
 * Generates docs/lightningstream.yaml, an example of the configuration file with every key and its default, from the
 * tables of docs/configuration.md: `node scripts/document-example.ts`. Required keys are set, for PowerDNS and an S3
 * bucket. All others are commented out.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** A row of one of the tables. */
interface Key {
  readonly path: ReadonlyArray<string>
  readonly default: string
  readonly description: string
  /** The heading above the table. */
  readonly heading: string
}

/** The keys that the example sets. */
const set: Readonly<Record<string, string>> = {
  "lmdbs.main.path": "/var/lib/powerdns/pdns.lmdb",
  "lmdbs.main.schema_tracks_changes": "true",
  "lmdbs.main.options.no_subdir": "true",
  "storage.type": "s3",
  "storage.options.bucket": "lightningstream",
  "storage.options.endpoint_url": "https://s3.example.com"
}

const rows = (text: string): ReadonlyArray<Key> => {
  let heading = ""
  return text.split("\n").flatMap((line) => {
    if (line.startsWith("#")) heading = line.replace(/^#+ /, "").replaceAll("`", "")
    const [, name, value, description] = /^\| `([a-z0-9_.<>]+)` \| (.*?) ?\| (.*?) ?\|$/.exec(line) ?? []
    if (name === undefined || value === undefined || description === undefined) return []
    if (name === "storage.options") return []
    const path = name.replace("<name>", "main").replace("<dbi>", "example").split(".")
    return [{ path, default: value, description, heading }]
  })
}

/** Converts Markdown to plain text. */
const plain = (text: string): string =>
  text
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/\*\*|`/g, "")
    .replaceAll("\\|", "|")

const width = 100

const comment = (text: string, indent: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of plain(text).split(" ")) {
    if (line !== "" && indent.length + line.length + word.length > width) {
      lines.push(`${indent}# ${line}`)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return line === "" ? lines : [...lines, `${indent}# ${line}`]
}

/**
 * Returns the default as YAML, or an empty text if the table describes it in words, such as "host name" or "absent".
 */
const valueOf = (text: string): string => /^`([^`<]*)`$/.exec(text)?.[1] ?? ""

/** Returns the storage type of an option of the storage. The options of all types have the same place in the file. */
const isFor = ({ heading, path }: Key): string | undefined =>
  path[0] === "storage" && path[1] === "options" && path.length > 2 ? heading : undefined

/**
 * The health checks. The table lists the keys of the first one, and states in words that the others have the same keys.
 */
const checks = ["storage_list", "storage_load", "storage_store"]

const expanded = (keys: ReadonlyArray<Key>): ReadonlyArray<Key> => {
  const likeFirst = keys.filter(({ path }) => path[0] === "health" && path[1] === checks[0])
  return keys.flatMap((key) =>
    key.path[0] === "health" && key.path.length === 2
      ? likeFirst.map(({ default: value, description, heading, path }) => ({
          path: [path[0]!, key.path[1]!, path[2]!],
          default: value,
          description,
          heading
        }))
      : [key]
  )
}

const lines = (keys: ReadonlyArray<Key>): ReadonlyArray<string> => {
  const out: Array<string> = []
  let open: ReadonlyArray<string> = []
  let store: string | undefined
  for (const key of keys) {
    const parents = key.path.slice(0, -1)
    const common = parents.findIndex((name, depth) => open[depth] !== name)
    const from = common < 0 ? parents.length : common
    parents.slice(from).forEach((name, index) => {
      const depth = from + index
      if (depth === 0) out.push("")
      out.push(`${"  ".repeat(depth)}${isSet(parents.slice(0, depth + 1)) ? "" : "#"}${name}:`)
    })
    open = parents
    if (isFor(key) !== store && isFor(key) !== undefined) out.push("", `    # ${isFor(key)}`, "")
    store = isFor(key)
    const indent = "  ".repeat(parents.length)
    const value = store === "azure" ? undefined : set[key.path.join(".")]
    const name = key.path.at(-1)!
    out.push(...comment(key.description, indent))
    out.push(
      value === undefined ? `${indent}#${name}: ${valueOf(key.default)}`.trimEnd() : `${indent}${name}: ${value}`
    )
  }
  return out
}

/** Returns whether the example sets a key below this path. */
const isSet = (path: ReadonlyArray<string>): boolean =>
  Object.keys(set).some((key) => key.startsWith(`${path.join(".")}.`))

export const example = (document: string): string =>
  [
    "# Every key of lightningstream.yaml, with its default after a #. Generated from docs/configuration.md,",
    "# which says how the file is read.",
    "",
    ...lines(expanded(rows(document))),
    ""
  ].join("\n")

if (import.meta.main) {
  const docs = join(import.meta.dirname, "..", "docs")
  writeFileSync(join(docs, "lightningstream.yaml"), example(readFileSync(join(docs, "configuration.md"), "utf8")))
}
