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

interface Walk {
  readonly document: Yaml.Document
  readonly problems: Array<Problem>
  readonly lines: Yaml.LineCounter
  readonly nulls: Array<KeyPath>
  /** Nodes that are being visited. Meeting one of them again means a cycle. */
  readonly open: Set<unknown>
  nodes: number
}

const lineOf = (walk: Walk, node: unknown): number =>
  Yaml.isNode(node) && node.range ? walk.lines.linePos(node.range[0]).line : 0

const scalarNode = (node: Yaml.Scalar): Scalar | undefined => {
  const plain = node.type === "PLAIN" || node.type === undefined
  const scalar = new Scalar(typeof node.value === "string" ? node.value : (node.source ?? ""), plain)
  return isNull(scalar) ? undefined : scalar
}

const merged = (walk: Walk, value: unknown, path: KeyPath): TreeMap => {
  const target = toTree(walk, value, path)
  const maps = Array.isArray(target) ? target : [target]
  if (!maps.every(isMap)) {
    walk.problems.push({ path: [...path, "<<"], message: "expected a map to merge, or a list of maps" })
    return {}
  }
  // The first map of the list takes precedence.
  return Object.fromEntries(maps.toReversed().flatMap((map) => Object.entries(map)))
}

const mapNode = (walk: Walk, node: Yaml.YAMLMap, path: KeyPath): TreeMap => {
  const own = new Map<string, Tree | undefined>()
  let inherited: TreeMap = {}
  const firstLine = new Map<string, number>()
  for (const { key, value } of node.items) {
    if (!Yaml.isScalar(key)) {
      walk.problems.push({ path, message: `expected text as key in line ${lineOf(walk, key)}` })
      continue
    }
    const name = String(key.value)
    const line = lineOf(walk, key)
    const first = firstLine.get(name)
    if (first !== undefined) {
      walk.problems.push({ path: [...path, name], message: `the key is there twice, in lines ${first} and ${line}` })
      continue
    }
    firstLine.set(name, line)
    if (name === "<<" && key.type === "PLAIN") inherited = merged(walk, value, path)
    else own.set(name, toTree(walk, value, [...path, name]))
  }
  // A key with null overrides the key of a merged map, as any other value does.
  const entries = [...Object.entries(inherited).filter(([name]) => !own.has(name)), ...own]
  for (const [name, value] of entries) if (value === undefined) walk.nulls.push([...path, name])
  return Object.fromEntries(entries.filter((entry): entry is [string, Tree] => entry[1] !== undefined))
}

const toTree = (walk: Walk, node: unknown, path: KeyPath): Tree | undefined => {
  if (node === null || node === undefined) return undefined
  walk.nodes++
  if (Yaml.isScalar(node)) return scalarNode(node)
  if (Yaml.isAlias(node)) {
    const target = node.resolve(walk.document)
    if (target !== undefined) return toTree(walk, target, path)
    walk.problems.push({
      path,
      message: "an alias without an anchor before it: text that begins with * must be in quotes"
    })
    return undefined
  }
  if (walk.open.has(node) || walk.nodes > maximumNodes) {
    const message = walk.open.has(node)
      ? "an alias of what it is in"
      : `more than ${maximumNodes} values: too many aliases`
    if (!walk.problems.some((problem) => problem.message === message)) walk.problems.push({ path, message })
    return undefined
  }
  walk.open.add(node)
  const tree = Yaml.isMap(node)
    ? mapNode(walk, node, path)
    : Yaml.isSeq(node)
      ? node.items
          .map((item, index) => toTree(walk, item, [...path, String(index)]))
          .filter((item) => item !== undefined)
      : undefined
  walk.open.delete(node)
  return tree
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
  const walk: Walk = { document, problems: [], nulls: [], lines, open: new Set(), nodes: 0 }
  const tree = toTree(walk, document.contents, []) ?? {}
  if (!isMap(tree))
    return { tree: undefined, nulls: [], problems: [{ path: [], message: "expected a map: keys and values" }] }
  return { tree, problems: walk.problems, nulls: walk.nulls }
}

/** Applies `replace` to everything but comments. */
export const mapOutsideComments = (text: string, replace: (text: string) => string): string => {
  let result = ""
  let pending = ""
  for (const token of new Yaml.Lexer().lex(text)) {
    // The lexer's own marks, which are not part of the text.
    if (token === "\u0002" || token === "\u0018" || token === "\u001f") continue
    if (!token.startsWith("#")) pending += token
    else {
      result += replace(pending) + token
      pending = ""
    }
  }
  return result + replace(pending)
}
