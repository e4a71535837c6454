/**
 * For rolldown: small chunks, loaded one by one with a turn of the event loop after each. Code is compiled and run in
 * one go with all that it imports: the AWS SDK took the event loop for 100 ms, the daemon's own code for 80.
 *
 * A chunk is cut between its modules, in the order in which they run, and never within a cycle of imports. Each
 * `import()` is then preceded by those of the chunks and of Node's modules that its module needs, in that order: what
 * is left for it is the module itself.
 */
import {
  build,
  type InputOptions,
  type OutputBundle,
  type OutputChunk,
  type OutputOptions,
  type Plugin,
  type PluginContext
} from "rolldown"

/** Characters of code without comments, before it is minified, of a part. */
const target = 120_000

/**
 * Characters of minified code that are loaded in one go, and what a module of Node's counts for: one to five
 * milliseconds.
 */
const together = 70_000
const ofNode = 24_000

const sizeOf = (code: string | null): number => (code === null ? 0 : code.replace(/\/\*[^]*?\*\//g, "").length)

const chunksOf = (bundle: OutputBundle): ReadonlyArray<OutputChunk> =>
  Object.values(bundle).filter((output) => output.type === "chunk")

/** What a module imports, of the modules in the bundle: those that only pass on what others export are not in it. */
const importsAmong =
  (context: PluginContext, included: ReadonlySet<string>) =>
  (id: string): ReadonlySet<string> => {
    const found = new Set<string>()
    const passed = new Set<string>()
    const visit = (from: string): void => {
      for (const imported of context.getModuleInfo(from)?.importedIds ?? []) {
        if (included.has(imported)) found.add(imported)
        else if (!passed.has(imported)) {
          passed.add(imported)
          visit(imported)
        }
      }
    }
    visit(id)
    return found
  }

/** The modules of a chunk, in parts. */
const cut = (
  { moduleIds, modules }: OutputChunk,
  importsOf: (id: string) => ReadonlySet<string>
): ReadonlyArray<ReadonlyArray<string>> => {
  const positions = new Map(moduleIds.map((id, position) => [id, position]))
  const parts: Array<Array<string>> = [[]]
  let size = 0
  // The last module that one so far imports. Where it has yet to run, the two are in a cycle.
  let last = 0
  moduleIds.forEach((id, position) => {
    const more = sizeOf(modules[id]!.code)
    if (size > 0 && size + more > target && last < position) {
      parts.push([])
      size = 0
    }
    parts.at(-1)!.push(id)
    size += more
    for (const imported of importsOf(id)) last = Math.max(last, positions.get(imported) ?? 0)
  })
  return parts
}

/** Names of parts, by module. The last part of a chunk has none: it stays where it is. */
const partsOf = (context: PluginContext, bundle: OutputBundle): ReadonlyMap<string, string> => {
  const chunks = chunksOf(bundle)
  const importsOf = importsAmong(context, new Set(chunks.flatMap(({ moduleIds }) => moduleIds)))
  return new Map(
    chunks.flatMap((chunk) =>
      cut(chunk, importsOf)
        .slice(0, -1)
        .flatMap((ids, index) => ids.map((id) => [id, `${chunk.name}-${index + 1}`] as const))
    )
  )
}

/** What the largest of Node's modules loads itself: before it, in turns of their own. */
const loadedBy: Readonly<Record<string, ReadonlyArray<string>>> = {
  "node:https": ["node:net", "node:crypto", "node:tls"]
}

/** What runs before the code of `file`, in its order. */
const orderOf = (bundle: OutputBundle, file: string): ReadonlyArray<string> => {
  const order = new Set<string>()
  const open = new Set<string>()
  const visit = (name: string): void => {
    if (open.has(name)) throw new Error(`${name} imports itself, by way of ${[...open].join(", ")}`)
    if (order.has(name)) return
    open.add(name)
    const output = bundle[name]
    const imports = output?.type === "chunk" ? output.imports : (loadedBy[name] ?? [])
    imports.forEach(visit)
    open.delete(name)
    order.add(name)
  }
  visit(file)
  return [...order].slice(0, -1)
}

/** What counts for loading one: that with a `require` of its own loads a package besides. */
const weightOf = (output: OutputBundle[string] | undefined): number => {
  if (output?.type !== "chunk") return ofNode
  return output.imports.includes("node:module") ? together : output.code.length
}

/** In groups that are loaded in one go. */
const grouped = (bundle: OutputBundle, names: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const groups: Array<Array<string>> = [[]]
  let size = 0
  for (const name of names) {
    const more = weightOf(bundle[name])
    if (size > 0 && size + more > together) {
      groups.push([])
      size = 0
    }
    groups.at(-1)!.push(name in bundle ? `./${name}` : name)
    size += more
  }
  return groups
}

const helper = `async function $inTurns(groups, load) {
  for (const names of groups) {
    await Promise.all(names.map((name) => import(name)))
    await new Promise(setImmediate)
  }
  return load()
}
`

/** `load`, an `import()` of `file`, after those that it needs and that are not `there`. */
const inTurns = (bundle: OutputBundle, file: string, load: string, there: ReadonlySet<string> = new Set()): string => {
  const names = orderOf(bundle, file).filter((name) => !there.has(name))
  return names.length === 0 ? load : `$inTurns(${JSON.stringify(grouped(bundle, names))}, () => ${load})`
}

/** The chunk's code with each `import("./…")` in turns. */
const rewritten = (bundle: OutputBundle, chunk: OutputChunk): string => {
  const there = new Set([...orderOf(bundle, chunk.fileName), chunk.fileName])
  const code = chunk.code.replaceAll(/\bimport\(([`"'])\.\/(.+?)\1\)/g, (load, _, file: string) =>
    inTurns(bundle, file, load, there)
  )
  return code === chunk.code ? code : `${code}\n${helper}`
}

/** Bundles twice: as rolldown would, to see what there is, and then in parts. */
export const bundle = async (input: InputOptions, output: OutputOptions): Promise<void> => {
  const plugins = input.plugins ?? []
  let parts: ReadonlyMap<string, string> = new Map()
  const plan: Plugin = {
    name: "plan",
    generateBundle(_, bundle) {
      parts = partsOf(this, bundle)
    }
  }
  const load: Plugin = {
    name: "load",
    generateBundle(_, bundle) {
      for (const chunk of chunksOf(bundle)) chunk.code = rewritten(bundle, chunk)
      if ("main.js" in bundle)
        this.emitFile({
          type: "asset",
          fileName: "start.js",
          source: `export const { run } = await ${inTurns(bundle, "main.js", 'import("./main.js")')}\n${helper}`
        })
    }
  }
  await build({ ...input, plugins: [plugins, plan], output: { ...output, minify: false }, write: false })
  await build({
    ...input,
    // Parts are imported from each other.
    preserveEntrySignatures: "allow-extension",
    plugins: [plugins, load],
    output: {
      ...output,
      codeSplitting: {
        includeDependenciesRecursively: false,
        groups: [{ debugName: "parts", name: (id) => parts.get(id) ?? null }]
      }
    }
  })
}
