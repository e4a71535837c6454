/**
 * Two real PowerDNS servers, synced through a real S3 server: one of them loses its LMDBs and gets them back with
 * `restore`.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Scope } from "effect"
import { isDeepStrictEqual } from "node:util"
import { contentOf } from "../support/Application.ts"
import { bundle, runBundled, workspace } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import * as Pdns from "../support/servers/Pdns.ts"
import { describeWith, type Installed } from "../support/servers/RealServers.ts"
import * as Swift from "../support/servers/Swift.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"

const pdns = await Pdns.installed()
const swift = await Swift.installed()
/** Both, or the reason why not. */
const installed: Installed = swift._tag === "Missing" ? swift : pdns
const tools = pdns._tag === "Installed" ? pdns.directory : ""

const configOf = (instance: string, files: Pdns.Files, storage: object) => ({
  ...Daemon.quick,
  instance,
  lmdbs: {
    main: Daemon.nativeFile(files.domains),
    shard: Daemon.nativeFile(files.records, { create: true, map_size: `${Pdns.mapSizeMiB}MB` })
  },
  storage
})

const contents = (files: Pdns.Files) =>
  Effect.all([Pdns.mdbDump(tools, files.domains), Pdns.mdbDump(tools, files.records)]).pipe(
    Effect.map(([domains, records]) => ({ domains: contentOf(domains), records: contentOf(records) }))
  )

const becomeEqual = (a: Pdns.Files, b: Pdns.Files) =>
  eventually(
    "both servers hold the same",
    Effect.map(Effect.all([contents(a), contents(b)]), ([left, right]) =>
      isDeepStrictEqual(left, right) ? left : undefined
    ),
    () => ""
  )

const answers = (server: Pdns.Pdns, name: string, addresses: ReadonlyArray<string>) =>
  eventually(
    `${name} has [${addresses.join()}]`,
    Effect.map(server.addresses(name), (found) => (isDeepStrictEqual(found, addresses) ? found : undefined)),
    () => ""
  )

describeWith("a PowerDNS server that is restored from Swift", installed, () => {
  const services = Swift.layer(swift._tag === "Installed" ? swift.directory : "").pipe(
    Layer.provideMerge(NodeServices.layer)
  )

  layer(services, { excludeTestServices: true })((it) => {
    it.effect(
      "answers as before at once, and both servers agree after further changes of both",
      () =>
        Effect.gen(function* () {
          yield* bundle
          const fs = yield* FileSystem.FileSystem
          const storage = yield* bucketOf("restored")
          const ns1 = yield* Pdns.start(tools)
          yield* Daemon.start({ args: ["sync"], config: configOf("ns1", ns1, storage) })
          const directory = yield* fs.makeTempDirectoryScoped({ prefix: "restored-" })
          const life = yield* Effect.acquireRelease(Scope.make(), Scope.close)
          const before = yield* Scope.provide(Pdns.start(tools, { directory }), life)
          const config = configOf("ns2", before, storage)
          const daemon = yield* Daemon.start({ args: ["sync"], config })
          yield* ns1.pdnsutil("create-zone", "example.org", "ns1.example.org")
          yield* ns1.pdnsutil("add-record", "example.org", "www", "A", "192.0.2.1")
          yield* ns1.pdnsutil("add-record", "example.org", "gone", "A", "192.0.2.9")
          yield* answers(before, "gone.example.org", ["192.0.2.9"])
          yield* before.pdnsutil("add-record", "example.org", "mail", "A", "192.0.2.2")
          yield* ns1.pdnsutil("delete-rrset", "example.org", "gone", "A")
          yield* answers(ns1, "mail.example.org", ["192.0.2.2"])
          yield* answers(before, "gone.example.org", [])
          yield* becomeEqual(ns1, before)
          yield* daemon.signal("SIGTERM")
          assert.strictEqual(yield* daemon.ended, 0)
          yield* Scope.close(life, Exit.void)
          for (const file of [before.domains, before.records]) {
            yield* fs.remove(file)
            yield* fs.remove(`${file}-lock`)
          }
          const { file } = yield* workspace(() => config)
          for (const [db, path] of [
            ["main", before.domains],
            ["shard", before.records]
          ] as const) {
            const { code, err, out } = yield* runBundled(["restore", "latest", "-c", file, "--db", db, "--to", path])
            assert.strictEqual(code, 0, err)
            assert.match(out, /^\w+ +\d+ +\d+ +none +[0-9a-f]{64}$/m)
          }
          assert.deepStrictEqual(yield* contents(before), yield* contents(ns1))
          const after = yield* Pdns.start(tools, { directory })
          yield* answers(after, "www.example.org", ["192.0.2.1"])
          yield* answers(after, "mail.example.org", ["192.0.2.2"])
          yield* answers(after, "gone.example.org", [])
          yield* after.pdnsutil("add-record", "example.org", "back", "A", "192.0.2.3")
          yield* Daemon.start({ args: ["sync"], config })
          yield* ns1.pdnsutil("replace-rrset", "example.org", "www", "A", "192.0.2.4")
          yield* answers(ns1, "back.example.org", ["192.0.2.3"])
          yield* answers(after, "www.example.org", ["192.0.2.4"])
          yield* becomeEqual(ns1, after)
        }),
      180_000
    )
  })
})
