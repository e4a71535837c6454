/** The documents of the project, taken apart for tests of what they say. */
import { Effect, FileSystem, Path } from "effect"

const root = Effect.map(Path.Path, (path) => path.join(import.meta.dirname, "..", ".."))

/** Of all files in this directory of src/. */
export const sourcesIn = Effect.fnUntraced(function* (name: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = path.join(yield* root, "src", name)
  const files = (yield* fs.readDirectory(directory, { recursive: true })).filter((file) => file.endsWith(".ts"))
  return (yield* Effect.forEach(files, (file) => fs.readFileString(path.join(directory, file)))).join("\n")
})

export const sources = sourcesIn("")

/** `name`: from the root of the project. */
export const readText = Effect.fnUntraced(function* (name: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return yield* fs.readFileString(path.join(yield* root, name))
})

/** From the root of the project. */
export const documentNames = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const docs = yield* fs.readDirectory(path.join(yield* root, "docs"))
  return [
    "README.md",
    "CHANGELOG.md",
    ...docs
      .filter((name) => name.endsWith(".md"))
      .toSorted()
      .map((name) => `docs/${name}`)
  ]
})

/** Contents of the fenced blocks of a language. */
export const blocksOf = (text: string, language: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/^```(\w*)\n(.*?)^```$/gms)).flatMap(([, name, block]) =>
    name === language ? [block!] : []
  )

const withoutBlocks = (text: string): string => text.replace(/^```.*?^```$/gms, "")

/** Indented blocks, each of lines that follow an empty one. */
export const indentedBlocksOf = (text: string): ReadonlyArray<string> =>
  Array.from(withoutBlocks(text).matchAll(/(?<=\n *\n)(?: {4,}\S.*\n)+/g), ([block]) =>
    block.replaceAll(/^ +/gm, "").trim()
  )

/** What is below the heading, up to the next one of its level. */
export const sectionOf = (text: string, heading: string): string => {
  const found = text.split(/^## /m).find((section) => section.startsWith(`${heading}\n`))
  if (found === undefined) throw new Error(`no document has the section ${heading} here`)
  return found
}

export interface Row {
  /** The last heading above. */
  readonly section: string
  readonly cells: ReadonlyArray<string>
}

/** Of all tables, without their heads. */
export const rowsOf = (text: string): ReadonlyArray<Row> => {
  let section = ""
  const rows: Array<Row> = []
  for (const line of withoutBlocks(text).split("\n")) {
    section = /^#+ (.*)$/.exec(line)?.[1] ?? section
    if (line.startsWith("| -")) rows.pop()
    else if (line.startsWith("|"))
      rows.push({
        section,
        cells: line
          .split(/(?<!\\)\|/)
          .slice(1, -1)
          .map((cell) => cell.trim())
      })
  }
  return rows
}

/** Targets within the project. */
export const linksOf = (text: string): ReadonlyArray<string> =>
  Array.from(withoutBlocks(text).matchAll(/\]\(([^)]+)\)/g), ([, target]) => target!).filter(
    (target) => !/^[a-z]+:/.test(target)
  )

/** As anchors. */
export const headingsOf = (text: string): ReadonlyArray<string> =>
  Array.from(withoutBlocks(text).matchAll(/^#+ (.*)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-")
  )
