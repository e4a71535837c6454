/** `doctor` as a process, with real faults: servers, keys, certificates, clocks, LMDBs. */
import { NodeServices } from "@effect/platform-node"
import { assert, it, layer } from "@effect/vitest"
import { DateTime, Effect, FileSystem, Layer } from "effect"
import type { Finding } from "../../src/programs/doctor/Finding.ts"
import * as Application from "../support/Application.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { bundle, runBundled, workspace } from "../support/Command.ts"
import { folderBucket, nativeFile, shadowFile } from "../support/Daemon.ts"
import { emptyDataFile } from "../support/fixtures/EmptyDataFile.ts"
import { object } from "../support/fixtures/Snapshots.ts"
import { authorityFor } from "../support/servers/Certificates.ts"
import { errorXml, listing, serve, serveTls } from "../support/servers/HandMadeServer.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import * as Swift from "../support/servers/Swift.ts"
import { bucketOf } from "../support/servers/SwiftBucket.ts"

const snapshotName = "main__a__20250101-000000-000000000__GX.pb.gz"

interface Side {
  readonly storage: (directory: string) => object
  readonly lmdbs?: (directory: string) => object
  readonly more?: object
}

/** A configuration, and `doctor` over it: exit code and findings. */
const make = Effect.fnUntraced(function* ({ lmdbs, more, storage }: Side) {
  yield* bundle
  const { directory } = yield* workspace((directory) => ({
    instance: "a",
    lmdbs: lmdbs?.(directory) ?? { main: nativeFile(`${directory}/main.lmdb`, { create: true }) },
    storage: storage(directory),
    ...more
  }))
  const text = (...args: ReadonlyArray<string>) => runBundled([...args], { cwd: directory })
  const doctor = Effect.map(text("doctor", "--json"), ({ code, err, out }) => {
    const findings: ReadonlyArray<Finding> = out
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
    /** As `level what` of a check, of a database. */
    const of = (check: string, database?: string) =>
      findings
        .filter((finding) => finding.check === check && finding.database === database)
        .map(({ level, what }) => `${level} ${what}`)
    const bad = findings.filter(({ level }) => level !== "ok")
    return { code, out, err, of, bad }
  })
  return { directory, doctor, text }
})

const s3 = (endpoint_url: string, options: object = {}) => ({
  type: "s3",
  options: { endpoint_url, access_key: "AKIATEST", secret_key: "the-secret", bucket: "bucket", ...options }
})

describeWith("doctor on S3", await Swift.installed(), (installed) => {
  it.live("finds nothing wrong, and leaves nothing behind; with a wrong key it says so, and shows no secret", () =>
    Effect.gen(function* () {
      const storage = yield* bucketOf("doctor", { use_update_marker: true })
      const { directory, doctor, text } = yield* make({ storage: () => storage })
      const put = yield* text("snapshots", "put", "--force", "-n", "thing", "lightningstream.yaml")
      assert.strictEqual(put.code, 0, put.err)
      const fs = yield* FileSystem.FileSystem
      const marker = Effect.andThen(
        text("snapshots", "get", "update-marker", "-o", "marker"),
        fs.readFileString(`${directory}/marker`)
      )
      const before = yield* marker
      const good = yield* doctor
      assert.deepStrictEqual([good.code, good.err, good.bad], [0, "", []])
      assert.deepStrictEqual(
        good.of("permissions").map((line) => line.replace(/ in .*/, "")),
        ["ok list works: 2 objects", "ok put works", "ok get works", "ok delete works"]
      )
      assert.match(good.of("endpoint")[0]!, /^ok http:\/\/127\.0\.0\.1:\d+ responds within \d+ ms$/)
      assert.deepStrictEqual(good.of("clock"), ["ok within 2 s of the server's"])
      assert.strictEqual((yield* text("snapshots", "list")).out, "thing\n")
      assert.strictEqual(yield* marker, before)

      const wrong = yield* make({
        storage: () => ({ ...storage, options: { ...storage.options, secret_key: "not-the-secret" } })
      })
      const refused = yield* wrong.doctor
      assert.strictEqual(refused.code, 1)
      assert.match(refused.of("permissions")[0]!, /^error list is refused: .*SignatureDoesNotMatch/)
      assert.match(refused.of("permissions")[1]!, /^error put is refused/)
      assert.include(refused.out, "s3:PutObject")
      for (const secret of ["not-the-secret", "SECRETKEYTEST"]) {
        assert.notInclude(refused.out + refused.err, secret)
        assert.notInclude(good.out, secret)
      }
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Swift.layer(installed), NodeServices.layer)))
  )
})

/** A server that has one object, and refuses some methods. `date`: of its responses. */
const refusing = (methods: ReadonlyArray<string>, date?: string) =>
  serve((request, response) => {
    if (date !== undefined) response.setHeader("date", date)
    response.setHeader("connection", "close")
    request.resume().on("end", () => {
      if (methods.includes(request.method!)) return void response.writeHead(403).end(errorXml("AccessDenied"))
      if (request.url!.includes("list-type=2")) return void response.end(listing("thing"))
      if (request.method === "PUT") return void response.setHeader("etag", '"e"').end()
      if (request.method === "DELETE") return void response.writeHead(204).end()
      return void response.setHeader("etag", '"e"').end("x")
    })
  })

layer(NodeServices.layer, { excludeTestServices: true })("doctor", (it) => {
  it.effect("says which permission is missing, and whether it is needed", () =>
    Effect.gen(function* () {
      const cases = [
        ["PUT", ["ok list works: 1 objects", "error put is refused", "ok get works"]],
        [
          "DELETE",
          [
            "ok list works: 1 objects",
            "ok put works",
            "error the downloaded object differs",
            "warning delete is refused"
          ]
        ]
      ] as const
      for (const [method, expected] of cases) {
        const server = yield* refusing([method])
        const { doctor } = yield* make({ storage: () => s3(server.endpoint_url) })
        const found = (yield* doctor).of("permissions")
        assert.lengthOf(found, expected.length, method)
        for (const [index, text] of expected.entries()) assert.isTrue(found[index]!.startsWith(text), found[index])
      }
      const server = yield* refusing(["DELETE"])
      const cleaning = yield* make({ storage: () => ({ ...s3(server.endpoint_url), cleanup: { enabled: true } }) })
      const { bad } = yield* cleaning.doctor
      const { todo } = bad.find(({ what }) => what.startsWith("delete"))!
      assert.strictEqual(bad.find(({ what }) => what.startsWith("delete"))!.level, "error")
      assert.match(todo!, /s3:DeleteObject.*remove the object doctor-a-[0-9a-f]+$/)
    })
  )

  it.effect("compares the clocks, and says when the server cannot be reached", () =>
    Effect.gen(function* () {
      const now = yield* DateTime.now
      const date = DateTime.toDate(DateTime.subtract(now, { hours: 1 })).toUTCString()
      const server = yield* refusing([], date)
      const { doctor } = yield* make({ storage: () => s3(server.endpoint_url) })
      const { code, of } = yield* doctor
      assert.strictEqual(code, 1)
      assert.match(of("clock")[0]!, /^error this machine's clock is at least 3[56]\d\d\.\d s ahead of the server's$/)
      const gone = yield* make({ storage: () => s3("http://127.0.0.1:9") })
      const unreachable = yield* gone.doctor
      assert.match(unreachable.of("endpoint")[0]!, /^error http:\/\/127\.0\.0\.1:9 cannot be reached: ECONNREFUSED/)
      assert.deepStrictEqual(unreachable.of("permissions"), [])
      assert.lengthOf(unreachable.of("spool"), 1)
    })
  )

  it.effect("tells how long the certificates are valid still, and which server is not trusted", () =>
    Effect.gen(function* () {
      for (const [days, level] of [
        [2, "error"],
        [10, "warning"],
        [60, "ok"]
      ] as const) {
        const ca = yield* authorityFor(days)
        const { cert, key } = yield* ca.issue("server")
        const server = yield* serveTls({ cert, key }, (_, response) => response.end(listing("thing")))
        const { doctor } = yield* make({ storage: () => s3(server.endpoint_url, { tls: { ca_file: ca.certFile } }) })
        const [found] = (yield* doctor).of("certificate")
        assert.strictEqual(
          found?.replace(/[\w ]+ is the first/, " X is the first"),
          `${level} of the chain server < Test CA, X is the first to expire, in ${days - 1} days`
        )
        if (days !== 60) continue
        const untrusted = yield* make({ storage: () => s3(server.endpoint_url) })
        assert.match((yield* untrusted.doctor).of("endpoint")[0]!, /^error .* cannot be reached: UNABLE_TO_VERIFY/)
        const unverified = yield* make({
          storage: () => s3(server.endpoint_url, { tls: { insecure_skip_verify: true } })
        })
        assert.match((yield* unverified.doctor).of("certificate")[1]!, /^warning .* not verified/)
      }
    })
  )

  it.effect("looks into each LMDB: format, pages, map, flags, headers, and one that is not there", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const names = ["good", "full", "plain", "away", "pages", "broken"]
      const { directory, doctor, text } = yield* make({
        storage: (directory) => folderBucket(`${directory}/bucket`),
        lmdbs: (directory) => ({
          ...Object.fromEntries(names.map((name) => [name, nativeFile(`${directory}/${name}.lmdb`)])),
          dupsort: shadowFile(`${directory}/dupsort.lmdb`),
          small: nativeFile(`${directory}/small.lmdb`, { map_size: "512KB" })
        })
      })
      yield* fs.makeDirectory(`${directory}/bucket`)
      yield* (yield* Application.open(`${directory}/good.lmdb`)).put("k", "v", 5n)
      yield* Application.open(`${directory}/small.lmdb`)
      const full = yield* Application.open(`${directory}/full.lmdb`)
      yield* full.put("k", Buffer.alloc(1_000_000), 5n)
      const open = (name: string) => LmdbApplication.make({ path: `${directory}/${name}.lmdb`, mapSize: 2 ** 20 })
      const plain = yield* open("plain")
      yield* plain.write({ do: "create", dbi: "d", flags: 0 }, { do: "put", dbi: "d", key: "6b", value: "76" })
      yield* (yield* open("dupsort")).write({ do: "create", dbi: "d", flags: 4 })
      yield* fs.writeFile(`${directory}/pages.lmdb`, emptyDataFile(16_384, 2 ** 20))
      yield* fs.writeFileString(`${directory}/broken.lmdb`, "not an LMDB".repeat(1_000))
      const { code, err, of } = yield* doctor
      assert.deepStrictEqual({ code, err }, { code: 1, err: "" })
      assert.deepStrictEqual(of("configuration"), ["ok lightningstream.yaml can be used"])
      assert.match(of("build").join(), /^ok LMDB 0\.9\.\d+: /)
      assert.match(of("memory").join(), /^(ok|warning|error) (no cgroup limit; |the limit is \d+ MB, )/)
      assert.match(of("LMDB", "good")[0]!, /^ok open in process \d+ \(\w+\)/)
      assert.match(of("map size", "good")[0]!, /^ok \d+ of 1048576 bytes are used \(\d %\), pages of 4096 bytes$/)
      assert.deepStrictEqual(of("DBIs", "good"), ["ok 1 in native mode, 1 headers checked"])
      assert.match(of("map size", "full")[0]!, /^error \d+ of 1048576 bytes are used \(9[5-9] %\)/)
      assert.deepStrictEqual(of("DBIs", "plain"), ["error d: key 0x6b: the value is shorter than its header"])
      assert.match(of("DBIs", "dupsort")[0]!, /^error d: .*it has MDB_DUPSORT: set dupsort_hack: true/)
      assert.deepStrictEqual(of("LMDB", "away"), [`error ${directory}/away.lmdb does not exist`])
      assert.match(of("LMDB", "pages")[1]!, /^warning the page size is 16384 bytes, and that of this system is 4096/)
      assert.match(of("LMDB", "broken")[0]!, /^error .*not an LMDB data file of the v1 format/)
      assert.match(of("map size", "small")[1]!, /^warning options.map_size is 524288 bytes, but the file has 1048576/)
      assert.isFalse(yield* fs.exists(`${directory}/away.lmdb`))
      const lines = (yield* text("doctor")).out.trimEnd().split("\n")
      assert.isTrue(
        lines.every((line) => /^(ok {7}|warning {2}|error {4})\w[\w ]*: ./.test(line)),
        lines.join("\n")
      )
    })
  )

  it.effect("tells dead readers from living ones, and a write lock that is held", () =>
    Effect.gen(function* () {
      const { directory, doctor } = yield* make({ storage: (directory) => folderBucket(`${directory}/bucket`) })
      const path = `${directory}/main.lmdb`
      const application = yield* Application.open(path)
      const living = yield* LmdbApplication.make({ path, mapSize: 2 ** 20 })
      yield* living.send({ do: "view" })
      const killed = yield* LmdbApplication.make({ path, mapSize: 2 ** 20 })
      yield* killed.send({ do: "view" })
      yield* killed.kill
      yield* application.put("k", "v", 5n)
      const { of } = yield* doctor
      assert.match(
        of("readers", "main")[0]!,
        /^ok \d of 126 slots are taken, by living processes .*\(1 transactions behind\)/
      )
      assert.match(of("readers", "main")[1]!, /^warning slots of dead processes: \d+ \(1 transactions behind\)$/)
      assert.lengthOf((yield* doctor).of("readers", "main"), 1)
      yield* application.send({ do: "hold" })
      const held = yield* doctor
      assert.strictEqual(held.code, 1)
      assert.match(held.of("LMDB", "main")[1]!, /^error the write lock was not free within 10 s$/)
      assert.match(held.bad.find(({ check }) => check === "LMDB")!.todo!, /process \d+ \(\w+\), \d+/)
    })
  )

  it.effect("says that a snapshot is truncated, that the spool has little room, and what the file warns of", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, doctor } = yield* make({
        storage: (directory) => folderBucket(`${directory}/bucket`),
        more: { health: { storage_list: { interval: "1ms" } } }
      })
      yield* fs.makeDirectory(`${directory}/bucket`)
      const whole = object({ records: [["k", 5, "v"]] })
      yield* fs.writeFile(`${directory}/bucket/${snapshotName}`, whole)
      const before = yield* doctor
      assert.deepStrictEqual(before.of("snapshots", "main"), [`ok ${snapshotName} is complete, 1 entries`])
      assert.match(before.of("spool")[0]!, /^ok .* has \d+ bytes free$/)
      yield* fs.writeFile(`${directory}/bucket/${snapshotName}`, whole.slice(0, -9))
      // Sparse: more than any disk of a test has.
      yield* fs.writeFileString(`${directory}/bucket/large`, "")
      yield* fs.truncate(`${directory}/bucket/large`, 2 ** 43)
      const { code, of } = yield* doctor
      assert.strictEqual(code, 1)
      assert.match(of("snapshots", "main")[0]!, new RegExp(`^error ${snapshotName} is corrupt: the gzip container`))
      assert.match(of("spool")[0]!, /^warning .* bytes free, the largest object in the bucket has 8796093022208$/)
      assert.match(of("configuration")[0]!, /^warning health.storage_list.interval: 1ms counts as 1s/)
    })
  )
})
