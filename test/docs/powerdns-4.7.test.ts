/**
 * PowerDNS 4.7, which writes no native headers: two of its LMDBs in shadow mode, as docs/getting-started.md has them.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execute, run } from "../support/Command.ts"
import { pathOf, describeWith, install } from "../support/servers/RealServers.ts"
import { readText } from "./Documents.ts"

const installed = await install({
  name: "pdns-4.7",
  suite: "bookworm",
  packages: ["pdns-server", "pdns-backend-lmdb"]
})

/** What the document says after the heading: the first block of the language. */
const block = (text: string, pattern: RegExp) => {
  const found = pattern.exec(text.slice(text.indexOf("\n## PowerDNS 4.7")))?.[1]
  if (found === undefined) throw new Error(`docs/getting-started.md has no ${pattern} for 4.7`)
  return found
}

const startSide = Effect.fnUntraced(function* (installedIn: string, instance: string, bucket: string) {
  const fs = yield* FileSystem.FileSystem
  const home = yield* fs.makeTempDirectoryScoped({ prefix: "pdns47-" })
  const document = (yield* readText("docs/getting-started.md"))
    .replaceAll("/var/lib/powerdns", home)
    .replaceAll("/mnt/shared/lightningstream", bucket)
  const configuration = block(document, /\n((?: {4}\S.*\n)+)/).replaceAll(/^ {4}/gm, "")
  const modules = `module-dir=${installedIn}/usr/lib/x86_64-linux-gnu/pdns\n`
  yield* fs.writeFileString(`${home}/pdns.conf`, configuration + modules)
  yield* fs.writeFileString(`${home}/lightningstream.yaml`, block(document, /```yaml\n([^`]*)```/))
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

describeWith("PowerDNS 4.7", installed, (installedIn) => {
  layer(NodeServices.layer, { excludeTestServices: true })("in shadow mode", (it) => {
    it.effect(
      "has zones, records and deletions of another server",
      () =>
        Effect.gen(function* () {
          const bucket = yield* Effect.flatMap(FileSystem.FileSystem, (fs) =>
            fs.makeTempDirectoryScoped({ prefix: "bucket-" })
          )
          const [first, second] = [
            yield* startSide(installedIn, "ns1", bucket),
            yield* startSide(installedIn, "ns2", bucket)
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
