/** `snapshots get`, `put` and `remove` as processes: with a real S3 server, and on bad days. */
import { NodeServices } from "@effect/platform-node"
import { assert, it, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import { ChildProcess } from "effect/process"
import { bundle, piped, runBundled, workspace } from "../../support/Command.ts"
import { folderBucket, nativeFile } from "../../support/Daemon.ts"
import { eventually } from "../../support/Eventually.ts"
import { object, objectOf, snapshot } from "../../support/fixtures/Snapshots.ts"
import { listing, serve } from "../../support/servers/HandMadeServer.ts"
import { describeWith, pathOf } from "../../support/servers/RealServers.ts"
import * as Swift from "../../support/servers/Swift.ts"
import { bucketOf } from "../../support/servers/SwiftBucket.ts"

const name = "main__a__20250101-000000-000000000__GX.pb.gz"

/** A configuration with this storage, and commands that run in its directory. */
const withStorage = (storage: (directory: string) => object) =>
  Effect.map(
    Effect.andThen(
      bundle,
      workspace((directory) => ({ lmdbs: { main: nativeFile(`${directory}/main.lmdb`) }, storage: storage(directory) }))
    ),
    ({ directory }) => ({
      directory,
      snapshots: (...args: ReadonlyArray<string>) => runBundled(["snapshots", ...args], { cwd: directory })
    })
  )

/** What is in the bucket, by name. */
const listed = (out: string) =>
  out
    .trim()
    .split("\n")
    .filter((line) => line !== "")

describeWith("snapshots get, put and remove on S3", await Swift.installed(), (installed) => {
  it.live("a file comes back byte for byte, also one that is uploaded in parts; others see it by the marker", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const storage = yield* bucketOf("transfer", { use_update_marker: true })
      const { directory, snapshots } = yield* withStorage(() => storage)
      const content = new Uint8Array(12_000_000).map((_, index) => (index * 31) >> 3)
      yield* fs.writeFile(`${directory}/${name}`, content)
      const done = { code: 0, out: "", err: "" }
      assert.deepStrictEqual(yield* snapshots("put", "--force", name), done)
      assert.deepStrictEqual(yield* snapshots("put", "--force", name, "-n", name.replace("__a__", "__b__")), done)
      const marker = yield* snapshots("get", "update-marker", "-o", "marker-1")
      assert.strictEqual(marker.code, 0, marker.err)
      assert.match(yield* fs.readFileString(`${directory}/marker-1`), /__b__.*:false$/)
      assert.deepStrictEqual(listed((yield* snapshots("list")).out), [name, name.replace("__a__", "__b__")])
      yield* fs.writeFileString(`${directory}/copy`, "is replaced")
      assert.deepStrictEqual(yield* snapshots("get", name, "--output=copy"), done)
      assert.deepStrictEqual(yield* fs.readFile(`${directory}/copy`), content)
      for (let i = 0; i < 2; i++) assert.deepStrictEqual(yield* snapshots("remove", name), done)
      assert.deepStrictEqual(listed((yield* snapshots("list")).out), [name.replace("__a__", "__b__")])
      yield* snapshots("get", "update-marker", "-o", "marker-2")
      assert.match(yield* fs.readFileString(`${directory}/marker-2`), /__a__.*:true$/)
      // A name in a bucket is no path of this machine.
      yield* fs.writeFileString(`${directory}/small`, "from the bucket")
      yield* fs.makeDirectory(`${directory}/inner`)
      assert.deepStrictEqual(yield* snapshots("put", "--force", "-n", "inner/../outside", "small"), done)
      const refused = yield* snapshots("get", "inner/../outside")
      assert.isFalse(yield* fs.exists(`${directory}/outside`))
      assert.strictEqual(refused.code, 2)
      assert.match(refused.err, /"inner\/..\/outside" cannot be used as the name of a file: .*--output/)
      assert.deepStrictEqual(yield* snapshots("get", "inner/../outside", "-o", "chosen"), done)
      assert.strictEqual(yield* fs.readFileString(`${directory}/chosen`), "from the bucket")
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Swift.layer(installed), NodeServices.layer)))
  )
})

layer(NodeServices.layer, { excludeTestServices: true })("snapshots get and put", (it) => {
  it.effect("put takes a snapshot's name, or any with --force, and makes the bucket that the file says", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, snapshots } = yield* withStorage((directory) => folderBucket(`${directory}/bucket`))
      yield* fs.writeFileString(`${directory}/start`, "")
      const refused = yield* snapshots("put", "start")
      assert.strictEqual(refused.code, 2)
      assert.match(refused.err, /"start" is not the name of a snapshot: .*--name.*--force/)
      assert.isFalse(yield* fs.exists(`${directory}/bucket`))
      assert.strictEqual((yield* snapshots("put", "--force", "start")).code, 0)
      assert.strictEqual((yield* snapshots("put", "--force", "--name", name, "start")).code, 0)
      assert.deepStrictEqual((yield* fs.readDirectory(`${directory}/bucket`)).toSorted(), [name, "start"])
      for (const file of ["nothing", "bucket"]) {
        const failed = yield* snapshots("put", "-n", name, file)
        assert.strictEqual(failed.code, 1, file)
        assert.match(failed.err, new RegExp(`the file ${file} cannot be read: `))
      }
    })
  )

  it.effect("put takes a file only if it is the snapshot that its name says, and one that can be merged here", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, snapshots } = yield* withStorage((directory) => folderBucket(`${directory}/bucket`))
      const good = snapshot({ records: [["x", 1, "one"]] })
      const sent = object({ records: [["x", 1, "one"]] })
      const shadow = { ...good, dbis: [{ ...good.dbis[0]!, flags: 8n }] }
      const refusals: ReadonlyArray<readonly [content: Uint8Array, file: string, problem: RegExp]> = [
        [new Uint8Array(0), name, /the gzip container is corrupt/],
        [sent.subarray(0, sent.length - 9), name, /the gzip container is corrupt/],
        [objectOf({ ...good, compatVersion: 9 }), name, /only readers of compatVersion 9 understand it/],
        [objectOf(shadow), name, /it has the flags MDB_INTEGERKEY, which native mode does not support/],
        [
          objectOf({ ...good, meta: { ...good.meta, databaseName: "other" } }),
          name,
          /it is a snapshot of database .*other/
        ],
        [objectOf({ ...good, meta: { ...good.meta, fromLmdbTxnID: 3n } }), name, /it is a delta/]
      ]
      for (const [content, file, problem] of refusals) {
        yield* fs.writeFile(`${directory}/${file}`, content)
        const { code, err } = yield* snapshots("put", file)
        assert.strictEqual(code, 1, err)
        assert.match(err, problem)
        assert.match(err, /not uploaded as main__a__.*--force/)
      }
      const unknown = yield* snapshots("put", "-n", name.replace("main", "away"), name)
      assert.strictEqual(unknown.code, 2)
      assert.match(unknown.err, /snapshot of database away: there is no such database in lmdbs, only main/)
      assert.isFalse(yield* fs.exists(`${directory}/bucket`))
      yield* fs.writeFile(`${directory}/${name}`, sent)
      assert.deepStrictEqual(yield* snapshots("put", name), { code: 0, out: "", err: "" })
      assert.deepStrictEqual(yield* fs.readFile(`${directory}/bucket/${name}`), new Uint8Array(sent))
    })
  )

  it.effect("get leaves the file that is there when the object is not, and writes to a pipe as to a file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, snapshots } = yield* withStorage((directory) => folderBucket(`${directory}/bucket`))
      yield* fs.makeDirectory(`${directory}/bucket`)
      yield* fs.writeFileString(`${directory}/bucket/object`, "of the bucket")
      yield* fs.writeFileString(`${directory}/nothing`, "of before")
      const missing = yield* snapshots("get", "nothing")
      assert.strictEqual(missing.code, 1)
      assert.match(missing.err, /no such object/)
      assert.strictEqual(yield* fs.readFileString(`${directory}/nothing`), "of before")
      const config = `${directory}/lightningstream.yaml`
      const pipe = yield* piped("| cat", "-c", config, "snapshots", "get", "object", "-o", "/dev/stdout")
      assert.deepStrictEqual(pipe, { code: 0, out: "of the bucket", err: "" })
      const nowhere = yield* snapshots("get", "object", "-o", `${directory}/no/such/object`)
      assert.strictEqual(nowhere.code, 1)
      assert.match(nowhere.err, /no\/such\/object cannot be written: ENOENT/)
      assert.deepStrictEqual((yield* fs.readDirectory(directory)).toSorted(), [
        "bucket",
        "lightningstream.yaml",
        "nothing"
      ])
    })
  )

  it.effect("ends in order at Ctrl-C, and leaves the file that is there, and no other", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const slow = yield* serve((request, response) => {
        if (request.url!.includes("list-type=2"))
          return void response.end(listing(name).replace("<Size>1<", "<Size>2000000<"))
        if (!request.url!.includes(name)) return void response.writeHead(404).end()
        response.writeHead(200, { "content-length": "2000000", etag: '"e"' }).write(Buffer.alloc(1_000_000))
      })
      const { directory } = yield* withStorage(() => ({
        type: "s3",
        options: { endpoint_url: slow.endpoint_url, access_key: "a", secret_key: "s", bucket: "bucket" }
      }))
      yield* fs.writeFileString(`${directory}/copy`, "of before")
      const args = ["--no-warnings", pathOf("../../../src/main.ts"), "snapshots", "get", name, "-o", "copy"]
      const handle = yield* ChildProcess.make(process.execPath, args, { cwd: directory, stdin: "ignore" })
      const temporary = Effect.map(fs.readDirectory(directory), (names) => names.find((one) => one.endsWith(".tmp")))
      yield* eventually("a temporary file is written", temporary, () => "")
      process.kill(handle.pid, "SIGINT")
      assert.strictEqual(Number(yield* handle.exitCode), 130)
      assert.deepStrictEqual((yield* fs.readDirectory(directory)).toSorted(), ["copy", "lightningstream.yaml"])
      assert.strictEqual(yield* fs.readFileString(`${directory}/copy`), "of before")
    })
  )
})
