/**
 * Every example in the help of every command, run by a shell as it stands there, and its outcome (ExampleOutcomes).
 * What an example names is there:
 * configuration files, databases with the DBIs that it names, snapshots in the bucket and in the working directory. Of
 * absolute paths, those below /etc and /tmp are taken from the test's directory.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer } from "effect"
import { byWords } from "../../src/commands/cli/Grammar.ts"
import * as SnapshotName from "../../src/domain/snapshot/SnapshotName.ts"
import { formatDomainKey } from "../../src/domain/lmdb/PdnsDomainKey.ts"
import { commands } from "../../src/main.ts"
import * as Application from "../support/Application.ts"
import { bundle, bundled, execute, runBundled } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { outcomes } from "./cli/ExampleOutcomes.ts"

const { hex, native } = Application

const examples = byWords(commands).flatMap(([words, entry]) =>
  "commands" in entry ? [] : entry.examples.map(({ command }, index) => ({ words, command, index }))
)

/** Of a line for a shell, without quotes. */
const wordsOf = (line: string) => line.replaceAll(/['"]/g, "").split(/[\s|>&]+/)

/** The values that the line gives to these options. */
const valuesOf = (line: string, ...options: ReadonlyArray<string>) => {
  const words = wordsOf(line)
  return words.filter((_, index) => options.includes(words[index - 1] ?? ""))
}

const databasesOf = (line: string): ReadonlyArray<string> =>
  // Of `snapshots dump` and `put` these options are other things.
  line.includes("snapshots")
    ? ["main"]
    : Array.from(
        new Set([
          "main",
          ...valuesOf(line, "-d", "-n", "--db", "--only-db", "--database"),
          // One that is left out.
          ...(/--only-db| dump | stats /.test(line) ? ["shard"] : [])
        ])
      )

const allDatabases = Array.from(new Set(examples.flatMap(({ command }) => databasesOf(command))))
/** A source that need not exist does not. */
const allDbis = examples.flatMap(({ command }) =>
  valuesOf(command, ...(command.includes("--ignore-src-dbi-not-present") ? [] : ["--src-dbi"]), "--dst-dbi")
)

/** Every database has the DBIs that PowerDNS 4.8 has, and those that examples name. */
const makeDatabase = Effect.fnUntraced(function* (path: string) {
  const application = yield* LmdbApplication.make({ path, mapSize: 2 ** 20 })
  const value = native(Buffer.from("00000005", "hex"), 1n)
  yield* application.write({ do: "create", dbi: "domains_v5_0", flags: 0 })
  // A zone that two servers have created.
  for (const id of [1, 2]) {
    const key = Buffer.from(formatDomainKey({ name: "org\0example\0", id })).toString("hex")
    yield* application.write({ do: "put", dbi: "domains_v5_0", key, value: native("", BigInt(id)) })
  }
  for (const dbi of new Set(["pdns", "records", ...allDbis]))
    yield* application.write({ do: "create", dbi, flags: 0 }, { do: "put", dbi, key: hex("schemaversion"), value })
  const deleted = native("", 1n, true)
  yield* application.write({ do: "put", dbi: "_sync_shadow_records", key: hex("gone"), value: deleted })
}, Effect.scoped)

const configOf = (directory: string, databases: ReadonlyArray<string>) => ({
  instance: "a",
  lmdbs: Object.fromEntries(databases.map((name) => [name, Daemon.nativeFile(`${directory}/${name}.lmdb`)])),
  storage: Daemon.folderBucket(`${directory}/bucket`),
  log: { format: "json" }
})

/** The published command by its name, with its process id and exit codes in files. */
const commandScript = (directory: string) => `#!/bin/bash
'${process.execPath}' '${bundled}' "$@" &
echo $! > '${directory}/pid'
wait $!
code=$?
echo "$code" >> '${directory}/codes'
exit "$code"
`

/** A directory with all databases, and a snapshot of each in the bucket. */
class Template extends Context.Service<Template, { readonly directory: string }>()("test/commands/Template") {}

const templateLayer = Layer.effect(
  Template,
  Effect.gen(function* () {
    yield* bundle
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "template-" })
    yield* fs.makeDirectory(`${directory}/bucket`)
    yield* Effect.forEach(allDatabases, (name) => makeDatabase(`${directory}/${name}.lmdb`))
    yield* fs.writeFileString(`${directory}/lightningstream.yaml`, JSON.stringify(configOf(directory, allDatabases)))
    const { code, err } = yield* runBundled(["sync", "--only-once"], { cwd: directory })
    assert.strictEqual(code, 0, err)
    return { directory }
  })
)

/** The snapshots and prefixes of snapshots that a line names, as names of objects. */
const snapshotsIn = (line: string): ReadonlyArray<string> =>
  wordsOf(line).flatMap((word) => {
    if (SnapshotName.parse(word) !== undefined) return [word]
    return /^\w+__\w+__$/.test(word) ? [`${word}20250101-000000-000000000__G1.pb.gz`] : []
  })

const prepare = Effect.fnUntraced(function* (line: string) {
  const fs = yield* FileSystem.FileSystem
  const template = yield* Template
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "example-" })
  for (const name of ["bin", "etc", "tmp", "bucket"]) yield* fs.makeDirectory(`${directory}/${name}`)
  yield* fs.writeFileString(`${directory}/bin/lightningstream`, commandScript(directory), { mode: 0o755 })
  const databases = databasesOf(line)
  for (const name of databases) yield* fs.copyFile(`${template.directory}/${name}.lmdb`, `${directory}/${name}.lmdb`)
  const stored = yield* fs.readDirectory(`${template.directory}/bucket`)
  // In the bucket under its own name, too: the newest, as of an instance that runs.
  const own = stored.find((name) => name.startsWith("main__"))!
  for (const name of [own, "main__a__20250101-000000-000000000__G1.pb.gz", ...snapshotsIn(line)]) {
    for (const target of [directory, `${directory}/bucket`])
      yield* fs.copyFile(`${template.directory}/bucket/${own}`, `${target}/${name}`)
  }
  const moved = line.replaceAll(/\/(?=(?:etc|tmp)\/)/g, `${directory}/`)
  const config = JSON.stringify(configOf(directory, databases))
  const named = wordsOf(moved).filter((word) => word.endsWith(".yaml"))
  for (const file of named.length === 0 ? ["lightningstream.yaml"] : named)
    yield* fs.writeFileString(file.startsWith("/") ? file : `${directory}/${file}`, config)
  return { directory, line: moved }
})

const isDaemon = (line: string) =>
  /lightningstream .*\b(sync|receive)\b/.test(line) && !line.includes("--only-once") && !line.includes("--dry-run")

/** Ends a daemon when it has begun: it does not by itself. */
const endDaemon = (directory: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* eventually(
      "the daemon has begun",
      Effect.map(
        Effect.orElseSucceed(fs.readFileString(`${directory}/err`), () => ""),
        (text) => (text.includes("Initial sync complete") ? true : undefined)
      ),
      () => ""
    )
    process.kill(Number(yield* fs.readFileString(`${directory}/pid`)), "SIGTERM")
  })

const runLine = Effect.fnUntraced(function* (directory: string, line: string) {
  const fs = yield* FileSystem.FileSystem
  const env = { PATH: `${directory}/bin:/usr/local/bin:/usr/bin:/bin`, HOME: directory }
  const shell = `{ ${line}\n} 2> '${directory}/err'`
  const running = execute(["bash", "-c", shell], { cwd: directory, env })
  const [{ out }] = yield* Effect.all([running, isDaemon(line) ? endDaemon(directory) : Effect.void], {
    concurrency: 2
  })
  const codes = (yield* fs.readFileString(`${directory}/codes`)).trim().split("\n").map(Number)
  return { codes, err: yield* fs.readFileString(`${directory}/err`), out }
})

layer(Layer.provideMerge(templateLayer, NodeServices.layer), { excludeTestServices: true, timeout: "120 seconds" })(
  "examples of the commands",
  (it) => {
    it.effect("there are two of each", () =>
      Effect.gen(function* () {
        for (const [words, entry] of byWords(commands)) {
          if ("commands" in entry) continue
          assert.isAtLeast(entry.examples.length, 2, words)
          assert.lengthOf(outcomes[words] ?? [], entry.examples.length, words)
        }
      })
    )

    for (const { command, index, words } of examples) {
      it.effect(`${words}: ${command}`, () =>
        Effect.gen(function* () {
          const { arrange, check, codes: expected = [0] } = outcomes[words]![index]!
          const { directory, line } = yield* prepare(command)
          if (arrange !== undefined) yield* arrange(directory)
          const { codes, err, out } = yield* runLine(directory, line)
          assert.isAtLeast(codes.length, 1)
          assert.deepStrictEqual(Array.from(new Set(codes)), expected, `${out}\n${err}`)
          yield* check({ directory, err, out })
        })
      )
    }
  }
)
