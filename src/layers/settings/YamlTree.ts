/**
 * Parses YAML 1.1 into a `Tree` of scalars as written; each setting decides how its scalar is read. Merge keys and
 * aliases are supported. A duplicate key, an alias without an anchor and a cycle are problems. The size is limited, so
 * that aliases of aliases cannot fill the memory.
 */
import * as Yaml from "yaml"
import { isNull, Scalar } from "../../domain/settings/values/YamlScalar.ts"
import { isMap, type KeyPath, type Problem, type Tree, type TreeMap } from "../../domain/settings/SettingsTree.ts"

/** Maximum number of nodes, with aliases followed. The largest real files have thousands. */
const maximumNodes = 20_000

const scalarOf = (node: Yaml.Scalar): Scalar | undefined => {
  const plain = node.type === "PLAIN" || node.type === undefined
  const scalar = new Scalar(typeof node.value === "string" ? node.value : (node.source ?? ""), plain)
  return isNull(scalar) ? undefined : scalar
}

/** Makes a tree of the parser's nodes. Undefined stands for null. */
class TreeReader {
  readonly problems: Array<Problem> = []
  readonly nulls: Array<KeyPath> = []
  readonly #document: Yaml.Document
  readonly #lines: Yaml.LineCounter
  /** Collections that are being read. Meeting one of them again means a cycle. */
  readonly #open = new Set<unknown>()
  #nodes = 0

  constructor(document: Yaml.Document, lines: Yaml.LineCounter) {
    this.#document = document
    this.#lines = lines
  }

  read(node: unknown, path: KeyPath): Tree | undefined {
    if (node === null || node === undefined) return undefined
    this.#nodes++
    if (Yaml.isScalar(node)) return scalarOf(node)
    if (Yaml.isAlias(node)) return this.#alias(node, path)
    if (this.#open.has(node)) return this.#once(path, "an alias of what it is in")
    if (this.#nodes > maximumNodes) return this.#once(path, `more than ${maximumNodes} values: too many aliases`)
    this.#open.add(node)
    const tree = this.#collection(node, path)
    this.#open.delete(node)
    return tree
  }

  #alias(node: Yaml.Alias, path: KeyPath): Tree | undefined {
    const target = node.resolve(this.#document)
    if (target !== undefined) return this.read(target, path)
    const message = "an alias without an anchor before it: text that begins with * must be in quotes"
    this.problems.push({ path, message })
    return undefined
  }

  #collection(node: unknown, path: KeyPath): Tree | undefined {
    if (Yaml.isMap(node)) return this.#map(node, path)
    if (!Yaml.isSeq(node)) return undefined
    return node.items
      .map((item, index) => this.read(item, [...path, String(index)]))
      .filter((item) => item !== undefined)
  }

  #map(node: Yaml.YAMLMap, path: KeyPath): TreeMap {
    const own = new Map<string, Tree | undefined>()
    let inherited: TreeMap = {}
    for (const { name, pair } of this.#pairsOf(node, path)) {
      if (name === "<<" && (pair.key as Yaml.Scalar).type === "PLAIN") inherited = this.#merged(pair.value, path)
      else own.set(name, this.read(pair.value, [...path, name]))
    }
    // A key with null overrides the key of a merged map, as any other value does.
    const entries = [...Object.entries(inherited).filter(([name]) => !own.has(name)), ...own]
    for (const [name, value] of entries) if (value === undefined) this.nulls.push([...path, name])
    return Object.fromEntries(entries.filter((entry): entry is [string, Tree] => entry[1] !== undefined))
  }

  /** Returns the pairs of a map that have text as key, each key once. The others are problems. */
  #pairsOf(node: Yaml.YAMLMap, path: KeyPath) {
    const firstLine = new Map<string, number>()
    return node.items.flatMap((pair) => {
      const line = this.#lineOf(pair.key)
      if (!Yaml.isScalar(pair.key)) {
        this.problems.push({ path, message: `expected text as key in line ${line}` })
        return []
      }
      const name = String(pair.key.value)
      const first = firstLine.get(name)
      if (first !== undefined) {
        const message = `the key is there twice, in lines ${first} and ${line}`
        this.problems.push({ path: [...path, name], message })
        return []
      }
      firstLine.set(name, line)
      return [{ name, pair }]
    })
  }

  /** Returns what the merge key `<<` adds to a map: a map, or a list of maps of which the first takes precedence. */
  #merged(value: unknown, path: KeyPath): TreeMap {
    const target = this.read(value, path)
    const maps = Array.isArray(target) ? target : [target]
    if (!maps.every(isMap)) {
      this.problems.push({ path: [...path, "<<"], message: "expected a map to merge, or a list of maps" })
      return {}
    }
    return Object.fromEntries(maps.toReversed().flatMap((map) => Object.entries(map)))
  }

  #lineOf(node: unknown): number {
    return Yaml.isNode(node) && node.range ? this.#lines.linePos(node.range[0]).line : 0
  }

  /** Reports a problem that aliases can repeat any number of times. */
  #once(path: KeyPath, message: string): undefined {
    if (!this.problems.some((problem) => problem.message === message)) this.problems.push({ path, message })
  }
}

/** Uses the parser's message without any text of the file, which might be a secret. */
const syntaxProblem = (error: Yaml.YAMLParseError, lines: Yaml.LineCounter): Problem => {
  const { col, line } = lines.linePos(error.pos[0])
  return { path: [], message: `not YAML: line ${line}, column ${col}: ${error.message.replace(/(?::| %).*/s, "")}` }
}

const knownTags = /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq|merge)$/

export interface Parsed {
  /** Undefined when the text is not YAML or not a map. */
  readonly tree: TreeMap | undefined
  readonly problems: ReadonlyArray<Problem>
  /** Keys without a value. */
  readonly nulls: ReadonlyArray<KeyPath>
}

export const parse = (text: string): Parsed => {
  const lines = new Yaml.LineCounter()
  // With the failsafe schema, all scalars are text. Duplicate keys are detected here, because the parser does not say
  // which key is duplicate.
  const document = Yaml.parseDocument(text, {
    version: "1.1",
    schema: "failsafe",
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
    logLevel: "error"
  })
  const unknownTags = document.warnings.filter(
    ({ code, message }) => code === "TAG_RESOLVE_FAILED" && !knownTags.test(message.replace("Unresolved tag: ", ""))
  )
  const broken = [...document.errors, ...unknownTags]
  if (broken.length > 0)
    return {
      tree: undefined,
      nulls: [],
      problems: broken.map((error) => syntaxProblem(error as Yaml.YAMLParseError, lines))
    }
  const reader = new TreeReader(document, lines)
  const tree = reader.read(document.contents, []) ?? {}
  if (!isMap(tree))
    return { tree: undefined, nulls: [], problems: [{ path: [], message: "expected a map: keys and values" }] }
  return { tree, problems: reader.problems, nulls: reader.nulls }
}
