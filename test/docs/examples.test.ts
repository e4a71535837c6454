/**
 * What the documents say is checked against the code: examples load, keys and defaults are those of the schema,
 * messages and links exist.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Path } from "effect"
import { parse } from "yaml"
import { example } from "../../scripts/document-example.ts"
import { paths, type Tree } from "../../src/domain/settings/SettingsTree.ts"
import * as SettingsYaml from "../../src/layers/settings/SettingsYaml.ts"
import {
  blocksOf,
  documentNames,
  headingsOf,
  indentedBlocksOf,
  linksOf,
  readText,
  rowsOf,
  sectionOf,
  sources
} from "./Documents.ts"

const environment = { NODE_NAME: "ns1", S3_ACCESS_KEY: "access", S3_SECRET_KEY: "sec$ret" }

const loadText = Effect.fnUntraced(function* (text: string) {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fs.makeTempFileScoped({ prefix: "example-", suffix: ".yaml" })
  yield* fs.writeFileString(file, text)
  return yield* SettingsYaml.load({ file, environment })
}, Effect.scoped)

const types = {
  s3: "bucket: b",
  fs: "root_path: /tmp",
  azure: "container: c, account_name: n"
} as const

/** A file with what is required, and one key more. */
const minimal = (type: keyof typeof types, key?: string, value?: string): string => {
  const tree: Record<string, unknown> = {
    instance: "a",
    lmdbs: { main: { path: "/tmp/main", options: {} } },
    storage: { type, options: Object.fromEntries(types[type].split(", ").map((pair) => pair.split(": "))) }
  }
  if (key !== undefined) {
    const keys = key.replace("<name>", "main").split(".")
    const parent = keys
      .slice(0, -1)
      .reduce<Record<string, unknown>>((node, one) => (node[one] ??= {}) as Record<string, unknown>, tree)
    // Written as the table has it: 0640, true and 5m mean something as they stand.
    parent[keys.at(-1)!] = `<<${value}>>`
  }
  return JSON.stringify(tree).replace(/"<<(.*?)>>"/, (_, text: string) => JSON.parse(`"${text}"`))
}

const typeOf = (section: string): keyof typeof types =>
  (/`(s3|fs|azure)`/.exec(section)?.[1] ?? "fs") as keyof typeof types

/** Rows of the tables of keys. */
const keyRows = Effect.map(readText("docs/configuration.md"), (text) =>
  rowsOf(text).flatMap(({ cells, section }) => {
    const key = /^`([a-z0-9_.<>]+)`$/.exec(cells[0]!)?.[1]
    return key === undefined
      ? []
      : [{ key, cell: cells[1]!, type: section.startsWith("Network") ? "s3" : typeOf(section) }]
  })
)

/** First cells of its tables that are in quotes; `…` stands for a value. */
const quotedMessages = Effect.map(readText("docs/operations.md"), (text) =>
  rowsOf(text).flatMap(({ cells }) => /^"(.+)"$/.exec(cells[0]!)?.[1] ?? [])
)

/** Of PowerDNS and the daemon. */
const setUp = (section: string) => {
  const [settings, ...commands] = indentedBlocksOf(section)
  const records = commands.find((command) => command.startsWith("pdnsutil "))
  const { lmdbs, storage } = parse(blocksOf(section, "yaml")[0]!)
  assert.match(settings!, /^launch=lmdb\n/)
  assert.isDefined(records)
  return { settings, records, lmdbs, storage }
}

layer(NodeServices.layer, { excludeTestServices: true })("the documents", (it) => {
  it.effect("every YAML example loads without a warning", () =>
    Effect.gen(function* () {
      let examples = 0
      for (const name of yield* documentNames) {
        for (const example of blocksOf(yield* readText(name), "yaml")) {
          const { warnings } = yield* Effect.mapError(loadText(example), (error) => `${name}: ${error.message}`)
          assert.deepStrictEqual([...warnings], [], name)
          examples++
        }
      }
      assert.isAtLeast(examples, 5)
    })
  )

  it.effect("README.md has the set-up of PowerDNS that docs/getting-started.md has, which is run", () =>
    Effect.gen(function* () {
      const [readme, tutorial] = yield* Effect.all([
        Effect.map(readText("README.md"), (text) => sectionOf(text, "Quick start: PowerDNS")),
        Effect.map(readText("docs/getting-started.md"), (text) => sectionOf(text, "PowerDNS 4.8 and later"))
      ])
      assert.deepStrictEqual(setUp(readme), setUp(tutorial))
    })
  )

  it.effect("docs/configuration.md has every key of the schema", () =>
    Effect.gen(function* () {
      const documented = new Set((yield* keyRows).map(({ key }) => key))
      for (const type of Object.keys(types) as ReadonlyArray<keyof typeof types>) {
        const { settings } = yield* loadText(minimal(type))
        const keys = paths(SettingsYaml.encodeSettings(settings) as Tree).map((path) =>
          path.join(".").replace("lmdbs.main", "lmdbs.<name>")
        )
        const missing = keys.filter(
          (key) =>
            // These three have the same keys, which are told once.
            !documented.has(key) &&
            !/^health\.(storage_load|storage_store)\.|^health\.start\.\w+_duration$|dbi_options$/.test(key)
        )
        assert.deepStrictEqual(missing, [], type)
      }
    })
  )

  it.effect("docs/configuration.md tells the defaults that count", () =>
    Effect.gen(function* () {
      let compared = 0
      for (const { cell, key, type } of yield* keyRows) {
        const written = /^`([^`]+)`$/.exec(cell)?.[1]
        if (written === undefined || written.includes("<")) continue
        const [plain, explicit] = yield* Effect.all([
          loadText(minimal(type)),
          loadText(minimal(type, key, written.replaceAll('"', "'")))
        ])
        assert.deepStrictEqual(
          SettingsYaml.effectiveYaml(explicit.settings),
          SettingsYaml.effectiveYaml(plain.settings),
          key
        )
        compared++
      }
      assert.isAtLeast(compared, 60)
    })
  )

  it.effect("docs/lightningstream.yaml has the keys of docs/configuration.md, and their defaults change nothing", () =>
    Effect.gen(function* () {
      const text = yield* readText("docs/lightningstream.yaml")
      assert.strictEqual(text, example(yield* readText("docs/configuration.md")), "run: npm run docs")
      // Of the storage that is set; the keys of others would be mistakes.
      const own = text.replace(/^ {4}# (fs|azure)\n[^]*?(?=^ {4}# (s3|Network))/gm, "")
      const explicit = own.replaceAll(/^( *)#(\w+:(?: [^ ].*)?)$/gm, (line, indent: string, key: string) =>
        // A key without a default has nothing to set, but those below it have.
        key.endsWith(":") && !own.includes(`${line}\n${indent}  `) ? line : `${indent}${key}`
      )
      assert.isAbove(explicit.split(/^ *\w+:/m).length, 70)
      const [plain, all] = yield* Effect.all([loadText(text), loadText(explicit)])
      assert.deepStrictEqual(SettingsYaml.effectiveYaml(all.settings), SettingsYaml.effectiveYaml(plain.settings))
    })
  )

  it.effect("docs/operations.md quotes messages that the sources have", () =>
    Effect.gen(function* () {
      const code = yield* sources
      // What stands for a value is between two texts of the source.
      const quoted = (yield* quotedMessages).flatMap((message) =>
        message
          .split("…")
          .map((part) => part.trim())
          .filter((part) => part !== "")
      )
      assert.isAtLeast(quoted.length, 20)
      assert.deepStrictEqual(
        quoted.filter((part) => !code.includes(part)),
        []
      )
    })
  )

  it.effect("docs/operations.md has every line that the log can have above debug", () =>
    Effect.gen(function* () {
      const quoted = yield* quotedMessages
      const calls = (yield* sources).matchAll(/log(?:Info|Warning|Error|Fatal)\)?\(\s*(?:"([^"]*)"|`([^`]*)`)/g)
      const logged = Array.from(calls, ([, plain, template]) => plain ?? template!.replace(/\$\{[^}]*\}/g, "…"))
      assert.isAtLeast(logged.length, 25)
      assert.deepStrictEqual(
        logged.filter((line) => !quoted.some((message) => line.includes(message))),
        []
      )
    })
  )

  it.effect("links lead to files and headings that exist", () =>
    Effect.gen(function* () {
      const path = yield* Path.Path
      const wrong: Array<string> = []
      for (const name of yield* documentNames) {
        for (const link of linksOf(yield* readText(name))) {
          const [file = "", heading] = link.split("#")
          const target = file === "" ? name : path.join(path.dirname(name), file)
          const text = yield* Effect.orElseSucceed(readText(target), () => undefined)
          if (text === undefined || (heading !== undefined && !headingsOf(text).includes(heading)))
            wrong.push(`${name}: ${link}`)
        }
      }
      assert.deepStrictEqual(wrong, [])
    })
  )
})
