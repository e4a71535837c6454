/**
 * PowerDNS as docs/getting-started.md has it, by the letter, but for places: its configuration and that of the daemon,
 * and its commands. 4.7 writes no native headers and is synced in shadow mode; 4.9 and 5.1 are synced over S3.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Redacted } from "effect"
import { bundled, execute, run } from "../support/Command.ts"
import * as Pdns from "../support/servers/Pdns.ts"
import { describeWith, install, pathOf } from "../support/servers/RealServers.ts"
import { Swift } from "../support/servers/Swift.ts"
import * as Versitygw from "../support/servers/Versitygw.ts"
import { blocksOf, indentedBlocksOf, readText, sectionOf } from "./Documents.ts"

const [pdns47, pdns4, pdns5, versitygw] = [
  await install({ name: "pdns-4.7", suite: "bookworm", packages: ["pdns-server", "pdns-backend-lmdb"] }),
  await Pdns.installed(),
  await Pdns.installed5(),
  await Versitygw.installed()
]

/** What a section has: the lines for pdns.conf, lightningstream.yaml, and commands. */
const documented = Effect.fnUntraced(function* (heading: string) {
  const section = sectionOf(yield* readText("docs/getting-started.md"), heading)
  const [settings = "", ...commands] = indentedBlocksOf(section)
  return { settings, configuration: blocksOf(section, "yaml")[0]!, commands }
})

/** The same with the LMDBs in this directory. */
const within = (directory: string, text: string) => text.replaceAll("/var/lib/powerdns", directory)

/** Where a shell finds `lightningstream`, `pdnsutil` and `dig`. */
const programs = Effect.fnUntraced(function* (installedIn: string, home: string) {
  const fs = yield* FileSystem.FileSystem
  const lines = {
    lightningstream: `exec '${process.execPath}' --no-warnings '${bundled}' "$@"`,
    pdnsutil: `exec sh '${pathOf("deb-run.sh")}' '${installedIn}' pdnsutil --config-dir='${home}' "$@"`,
    dig: `exec sh '${pathOf("deb-run.sh")}' '${installedIn}' dig "$@"`
  }
  yield* fs.makeDirectory(`${home}/bin`)
  for (const [name, line] of Object.entries(lines))
    yield* fs.writeFileString(`${home}/bin/${name}`, `#!/bin/sh\n${line}\n`, { mode: 0o755 })
})

/** Runs lines of the document as a shell does. Returns what they print. */
const shell = Effect.fnUntraced(function* (home: string, lines: string, env: Readonly<Record<string, string>>) {
  const PATH = `${home}/bin:/usr/bin:/bin`
  const { code, err, out } = yield* execute(["bash", "-ec", lines], { cwd: home, env: { ...env, PATH } })
  assert.strictEqual(code, 0, `${lines}\n${out}${err}`)
  return out
})

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "powerdns-" }))

/** A server, and how to run lines beside it. */
const startNative = Effect.fnUntraced(function* (installedIn: string, instance: string) {
  const fs = yield* FileSystem.FileSystem
  const s3 = yield* Swift
  const home = yield* temporary
  const { configuration, settings } = yield* documented("PowerDNS 4.8 and later")
  yield* programs(installedIn, home)
  const places = within(home, configuration).replace("https://s3.example.com", s3.endpoint_url)
  yield* fs.writeFileString(`${home}/lightningstream.yaml`, places)
  const server = yield* Pdns.start(installedIn, { directory: home, settings: within(home, settings) })
  const keys = { S3_ACCESS_KEY: Redacted.value(s3.access_key), S3_SECRET_KEY: Redacted.value(s3.secret_key) }
  return { port: server.port, run: (lines: string) => shell(home, lines, { NODE_NAME: instance, ...keys }) }
})

const checkNative = Effect.fnUntraced(function* (installedIn: string, isNew: boolean) {
  const { commands } = yield* documented("PowerDNS 4.8 and later")
  const [start = "", make = "", makeNew = ""] = commands
  const [first, second] = [yield* startNative(installedIn, "ns1"), yield* startNative(installedIn, "ns2")]
  const [check = "", sync = ""] = start.split("\n")
  assert.match(sync, / sync$/)
  const dig = make.split("\n").find((line) => line.startsWith("dig "))!
  const zone = isNew ? makeNew : make.replace(`\n${dig}`, "")
  yield* first.run(check)
  yield* first.run(zone)
  yield* first.run(`${sync} --only-once`)
  yield* second.run(`${sync} --only-once`)
  const answer = yield* second.run(dig.replace("other-server", `127.0.0.1 -p ${second.port}`))
  assert.match(answer, /^www\.example\.org\.\s+3600\s+IN\s+A\s+192\.0\.2\.1$/m)
})

const services = Versitygw.layer(versitygw._tag === "Installed" ? versitygw.directory : "").pipe(
  Layer.provideMerge(NodeServices.layer)
)

for (const [version, installed] of [
  ["4.9", pdns4],
  ["5.1", pdns5]
] as const) {
  describeWith(`PowerDNS ${version}`, versitygw._tag === "Missing" ? versitygw : installed, (installedIn) => {
    layer(services, { excludeTestServices: true })("in native mode", (it) => {
      it.effect(
        "answers for the zone that was made on another server",
        () =>
          Effect.gen(function* () {
            const line = ["sh", pathOf("deb-run.sh"), installedIn, "pdns_server", "--version"]
            const { err, out } = yield* execute(line)
            assert.include(out + err, `Server ${version}.`)
            yield* checkNative(installedIn, version.startsWith("5"))
          }),
        120_000
      )
    })
  })
}

const startShadow = Effect.fnUntraced(function* (installedIn: string, instance: string, bucket: string) {
  const fs = yield* FileSystem.FileSystem
  const home = yield* temporary
  const { configuration, settings } = yield* documented("PowerDNS 4.7")
  const modules = `module-dir=${installedIn}/usr/lib/x86_64-linux-gnu/pdns\n`
  yield* fs.writeFileString(`${home}/pdns.conf`, `${within(home, settings)}\n${modules}`)
  const places = within(home, configuration).replaceAll("/mnt/shared/lightningstream", bucket)
  yield* fs.writeFileString(`${home}/lightningstream.yaml`, places)
  const pdnsutil = (...args: ReadonlyArray<string>) =>
    execute(["sh", pathOf("deb-run.sh"), installedIn, "pdnsutil", `--config-dir=${home}`, ...args])
  // It makes the first LMDB.
  yield* pdnsutil("list-all-zones")
  const sync = Effect.gen(function* () {
    const file = `${home}/lightningstream.yaml`
    const { code, err } = yield* run(["-c", file, "sync", "--only-once"], { env: { NODE_NAME: instance } })
    assert.strictEqual(code, 0, err)
  })
  return { pdnsutil, sync }
})

describeWith("PowerDNS 4.7", pdns47, (installedIn) => {
  layer(NodeServices.layer, { excludeTestServices: true })("in shadow mode", (it) => {
    it.effect(
      "has zones, records and deletions of another server",
      () =>
        Effect.gen(function* () {
          const bucket = yield* temporary
          const [first, second] = [
            yield* startShadow(installedIn, "ns1", bucket),
            yield* startShadow(installedIn, "ns2", bucket)
          ]
          yield* first.pdnsutil("create-zone", "example.org", "ns1.example.org")
          yield* first.pdnsutil("add-record", "example.org", "www", "A", "192.0.2.1")
          yield* first.sync
          yield* second.sync
          const listed = yield* second.pdnsutil("list-zone", "example.org")
          assert.match(listed.out, /^www\.example\.org\s+3600\s+IN\s+A\s+192\.0\.2\.1$/m, listed.err)

          yield* second.pdnsutil("delete-rrset", "example.org", "www", "A")
          yield* second.pdnsutil("add-record", "example.org", "mail", "A", "192.0.2.2")
          yield* second.sync
          yield* first.sync
          const changed = (yield* first.pdnsutil("list-zone", "example.org")).out
          assert.notInclude(changed, "www.example.org")
          assert.include(changed, "192.0.2.2")
        }),
      180_000
    )
  })
})
