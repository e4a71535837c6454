/**
 * The limits of the house: 120 columns, functions that fit on a screen, directories that fit in one's head, one type
 * per name, no import cycles, and the words of the glossary. CONTRIBUTING.md has the glossary.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path } from "effect"
import { parseSync, Visitor } from "rolldown/utils"

const columnsMax = 120
const functionLinesMax = 70
const filesPerDirectoryMax = 18

/** Lines that cannot be broken, by what they contain, and why. */
const longLines: ReadonlyArray<readonly [marker: RegExp, reason: string]> = [
  [/@effect-diagnostics-next-line/, "a directive of the type checker ends with its reason, on the same line"],
  [/^\s*(it(\.\w+)?\()?["`']/, "a text: a test's name or a message is searched for as a whole"],
  [/`[^`]*`[,;)]*$|"[^"]*"[,;)]*( \+)?$/, "a text at the end of the line: a message is searched for as a whole"],
  [/markup`|^[<$][\w{/]/, "HTML in a template: a line break in it would be a blank"],
  [/^ \* {4,}/, "a picture of a layout, or the usage of a command"],
  [/^\s*\/.*\/,?$/, "a regular expression"],
  [/require\(|registerHooks\(|\[7a 6f 6e 65\]/, "a program or an output inside a text of several lines"]
]

/** Functions that are longer, by file and name, and why. */
const longFunctions: ReadonlyMap<string, string> = new Map([
  ["src/domain/snapshot/EntryScan.ts: scanEntries", "the loop over the bytes of millions of entries: a call costs"],
  ["test/layers/storage/StorageUpdateMarker.test.ts: a callback", "one property, its users and their history"],
  ["test/programs/daemon/World.ts: startDaemon", "one field after the other of what a test sees of a daemon"],
  ["test/simulation/ShadowApplications.ts: make", "the operations of one model"],
  ["test/support/fakes/StorageFaults.ts: make", "one case for each kind of fault"]
])

/** Two exported types of one name, and why. */
const sharedNames: ReadonlyMap<string, string> = new Map([])

/** Words that the glossary of CONTRIBUTING.md has another one for. */
const bannedWords =
  /\b(folders?|time-outs?|for ever|anew|sets? aside|strangers?|lets? go|mends?|mended|authorities|is not well)\b/i

interface Source {
  readonly file: string
  readonly text: string
}

/** Files below `directories` whose names end with one of `endings`, by their paths from the root. */
const filesOf = Effect.fnUntraced(function* (directories: ReadonlyArray<string>, endings: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = path.join(import.meta.dirname, "..")
  const names = yield* Effect.forEach(directories, (directory) =>
    Effect.map(fs.readDirectory(path.join(root, directory), { recursive: true }), (found) =>
      found.map((name) => `${directory}/${name}`)
    )
  )
  return yield* Effect.forEach(
    names.flat().filter((name) => endings.some((ending) => name.endsWith(ending)) && !name.includes("/golden/")),
    (file) => Effect.map(fs.readFileString(path.join(root, file)), (text): Source => ({ file, text }))
  )
}, Effect.provide(NodeServices.layer))

const code = filesOf(["src", "test", "bench", "demo", "scripts"], [".ts", ".mjs"])
const sources = filesOf(["src"], [".ts"])

/** Offsets at which lines end, for `lineOf`. */
const lineEndsOf = (text: string): ReadonlyArray<number> => Array.from(text.matchAll(/\n/g), ({ index }) => index)

const lineOf = (ends: ReadonlyArray<number>, offset: number): number => {
  const index = ends.findIndex((end) => end >= offset)
  return (index < 0 ? ends.length : index) + 1
}

/** A function that holds tests is a list of functions: only the tests in it are measured. */
const isTest = (callee: string): boolean => /^(describe|(it|test)(\.\w+)*)$/.test(callee)

/** Functions of more lines than the limit, as `file: name, lines`. */
const tooLong = ({ file, text }: Source): ReadonlyArray<string> => {
  const functions: Array<{ readonly start: number; readonly end: number }> = []
  const tests: Array<number> = []
  const names = new Map<number, string>()
  const add = (node: { readonly start: number; readonly end: number }) => void functions.push(node)
  new Visitor({
    CallExpression: (node) => {
      if (isTest(text.slice(node.callee.start, node.callee.end))) tests.push(node.start)
    },
    VariableDeclarator: ({ id, init }) => {
      if (init === null || id.type !== "Identifier") return
      names.set(init.start, id.name)
      if (init.type === "CallExpression") for (const argument of init.arguments) names.set(argument.start, id.name)
    },
    FunctionDeclaration: add,
    FunctionExpression: add,
    ArrowFunctionExpression: add
  }).visit(parseSync(file, text, { lang: "ts" }).program)
  const ends = lineEndsOf(text)
  return functions.flatMap(({ start, end }) => {
    const first = lineOf(ends, start)
    const lines = lineOf(ends, end) - first + 1
    const id = `${file}: ${names.get(start) ?? "a callback"}`
    const holdsTests = tests.some((test) => test > start && test < end)
    return lines <= functionLinesMax || holdsTests || longFunctions.has(id)
      ? []
      : [`${id}, line ${first}: ${lines} lines`]
  })
}

const importsOf = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/(?:^import|^export)[^"';]*?from\s+"(\.[^"]+)"/gm), (match) => match[1]!)

describe("tidiness", () => {
  it.effect(`no line of code has more than ${columnsMax} columns`, () =>
    Effect.gen(function* () {
      const wrong = (yield* code).flatMap(({ file, text }) =>
        text
          .split("\n")
          .flatMap((line, index) =>
            [...line].length > columnsMax && !longLines.some(([marker]) => marker.test(line))
              ? [`${file}:${index + 1}: ${line.trim()}`]
              : []
          )
      )
      assert.deepStrictEqual(wrong, [])
    })
  )

  it.effect(`no function has more than ${functionLinesMax} lines`, () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* code).flatMap(tooLong), [])
    })
  )

  it.effect(`no directory of src and test has more than ${filesPerDirectoryMax} files`, () =>
    Effect.gen(function* () {
      const counts = new Map<string, number>()
      for (const { file } of yield* filesOf(["src", "test"], [".ts", ".json", ".sh", ".py"])) {
        const directory = file.slice(0, file.lastIndexOf("/"))
        counts.set(directory, (counts.get(directory) ?? 0) + 1)
      }
      const wrong = [...counts].filter(([, count]) => count > filesPerDirectoryMax)
      assert.deepStrictEqual(wrong, [])
    })
  )

  it.effect("no two exported types have one name", () =>
    Effect.gen(function* () {
      const places = new Map<string, Array<string>>()
      for (const { file, text } of yield* sources) {
        for (const [, name] of text.matchAll(/^export (?:abstract )?(?:interface|type|class) (\w+)/gm)) {
          places.set(name!, [...(places.get(name!) ?? []), file])
        }
      }
      const wrong = [...places].filter(([name, files]) => new Set(files).size > 1 && !sharedNames.has(name))
      assert.deepStrictEqual(wrong, [])
    })
  )

  it.effect("no imports go in a circle", () =>
    Effect.gen(function* () {
      const path = yield* Path.Path
      const all = new Map(
        (yield* sources).map(({ file, text }) => [
          file,
          importsOf(text).map((name) => path.join(path.dirname(file), name))
        ])
      )
      const done = new Set<string>()
      const cycles: Array<string> = []
      const visit = (file: string, trail: ReadonlyArray<string>): void => {
        if (trail.includes(file)) cycles.push([...trail.slice(trail.indexOf(file)), file].join(" → "))
        if (done.has(file) || trail.includes(file)) return
        for (const target of all.get(file) ?? []) visit(target, [...trail, file])
        done.add(file)
      }
      for (const file of all.keys()) visit(file, [])
      assert.deepStrictEqual(cycles, [])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("sources and documents use the words of the glossary", () =>
    Effect.gen(function* () {
      const texts = [...(yield* sources), ...(yield* filesOf(["docs"], [".md"]))]
      const wrong = texts.flatMap(({ file, text }) =>
        text.split("\n").flatMap((line, index) => {
          const word = bannedWords.exec(line)?.[0]
          return word === undefined ? [] : [`${file}:${index + 1}: ${word}`]
        })
      )
      assert.deepStrictEqual(wrong, [])
    })
  )
})
