/** `restore` as a process, from a directory as the bucket. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { ChildProcess } from "effect/process"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import * as LmdbNative from "../../src/layers/lmdb/native/LmdbNative.ts"
import * as Application from "../support/Application.ts"
import { bundle, bundled, runBundled, workspace } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { nativeOptions, raw, type RawDbi } from "../support/fixtures/Environments.ts"
import { type Lines, many, object, objectOf, ofDbis } from "../support/fixtures/Snapshots.ts"
import { listing, serve } from "../support/servers/HandMadeServer.ts"

const nameOf = (instance: string, second: number) =>
  `main__${instance}__20250101-0000${String(second).padStart(2, "0")}-000000000__GX.pb.gz`

const older = nameOf("a", 10)
const newer = nameOf("a", 20)
const other = nameOf("b", 15)

const contents: Readonly<Record<string, Lines>> = {
  [older]: {
    records: [
      ["old", 1, "was here"],
      ["x", 2, "first"]
    ]
  },
  [newer]: {
    records: [
      ["gone", 9, null],
      ["old", 5, null],
      ["x", 3, "second"]
    ],
    zones: [["z", 4, "zone"]]
  },
  [other]: {
    records: [
      ["gone", 8, "alive"],
      ["other", 7, "b"],
      ["x", 2, "third"]
    ]
  }
}

const shadowMode = { schema_tracks_changes: false, dbi_options: { records: { override_create_flags: 0 } } }

/** A bucket with these objects, and the command in a directory with this configuration. */
const withBucket = Effect.fnUntraced(function* (objects: Readonly<Record<string, Uint8Array>>, database: object = {}) {
  yield* bundle
  const fs = yield* FileSystem.FileSystem
  const { directory, file } = yield* workspace((directory) => ({
    lmdbs: { main: { ...Daemon.nativeFile(`${directory}/live.lmdb`), ...database } },
    storage: Daemon.folderBucket(`${directory}/bucket`)
  }))
  yield* fs.makeDirectory(`${directory}/bucket`)
  for (const [name, bytes] of Object.entries(objects)) yield* fs.writeFile(`${directory}/bucket/${name}`, bytes)
  return {
    directory,
    file,
    restore: (...args: ReadonlyArray<string>) => runBundled(["restore", ...args], { cwd: directory }),
    files: Effect.map(fs.readDirectory(directory), (names) =>
      names.filter((name) => name !== "bucket" && name !== "lightningstream.yaml").toSorted()
    )
  }
})

const allObjects = Object.fromEntries(Object.entries(contents).map(([name, lines]) => [name, object(lines)]))

/** By DBI and key: the value, with its time where it has a header. */
type Content = Readonly<Record<string, Readonly<Record<string, string | ReadonlyArray<bigint | string | null>>>>>

/** Everything in an LMDB, without the transaction ids of headers. */
const contentOf = (path: string) =>
  Effect.map(
    Effect.provide(raw, LmdbNative.layerWith({ ...nativeOptions(path).lmdb, create: false }), { local: true }),
    (dbis): Content => Object.fromEntries(dbis.map((dbi) => [DbiName.display(dbi.name), entriesOf(dbi)]))
  )

const entriesOf = ({ entries, name }: RawDbi) =>
  Object.fromEntries(
    entries.map(({ key, value }) => {
      const text = Buffer.from(key, "hex").toString()
      const isPlain = value.length < 48
      const bytes = Buffer.from(value, "hex")
      return [
        text,
        isPlain && !name.startsWith("_sync")
          ? bytes.toString()
          : [bytes.readBigUInt64BE(), bytes[17] === 1 ? null : bytes.subarray(24).toString()]
      ]
    })
  )

const merged = {
  records: { gone: [9n, null], old: [5n, null], other: [7n, "b"], x: [3n, "second"] },
  zones: { z: [4n, "zone"] }
}

const live = { records: { other: "b", x: "second" }, zones: { z: "zone" } }

layer(NodeServices.layer, { excludeTestServices: true })("restore", (it) => {
  it.effect("latest merges the newest of all instances, says what it holds, and leaves nothing else behind", () =>
    Effect.gen(function* () {
      const { directory, files, restore } = yield* withBucket(allObjects)
      const { code, err, out } = yield* restore("latest", "--to", "new.lmdb")
      assert.strictEqual(code, 0, err)
      assert.deepStrictEqual(yield* files, ["new.lmdb"])
      assert.match(
        out,
        new RegExp(`^### main :: ${directory}/new\\.lmdb\\n\\n${newer}  4 entries\\n${other}  3 entries\\n`)
      )
      assert.match(out, /^records +4 +2 +none +[0-9a-f]{64}$/m)
      assert.match(out, /^zones +1 +0 +none +[0-9a-f]{64}$/m)
      assert.match(out, /^Map size: +67108864$/m)
      assert.deepStrictEqual(yield* contentOf(`${directory}/new.lmdb`), merged)
      assert.match((yield* runBundled(["verify", "-c", "lightningstream.yaml"], { cwd: directory })).out, /main/)
    })
  )

  it.effect("in shadow mode it is what a new server gets, and --plain is what the application sees of it", () =>
    Effect.gen(function* () {
      const { directory, file, restore } = yield* withBucket(allObjects, shadowMode)
      const { code, err, out } = yield* restore("latest", "--to", "new.lmdb")
      assert.strictEqual(code, 0, err)
      assert.match(out, /^records +4 +2 +none/m)
      const restored = yield* contentOf(`${directory}/new.lmdb`)
      assert.deepStrictEqual(restored, {
        ...live,
        _sync_shadow_records: merged.records,
        _sync_shadow_zones: merged.zones
      })
      const fs = yield* FileSystem.FileSystem
      const config = JSON.parse(yield* fs.readFileString(file))
      config.instance = "new"
      config.lmdbs.main.options.create = true
      yield* fs.writeFileString(file, JSON.stringify(config))
      const server = yield* runBundled(["receive", "--only-once"], { cwd: directory })
      assert.strictEqual(server.code, 0, server.err)
      assert.deepStrictEqual(yield* contentOf(`${directory}/live.lmdb`), restored)
      const plain = yield* restore("latest", "--plain", "--to", "plain.lmdb")
      assert.strictEqual(plain.code, 0, plain.err)
      assert.match(plain.out, /^records +2 +- +none/m)
      assert.deepStrictEqual(yield* contentOf(`${directory}/plain.lmdb`), live)
    })
  )

  it.effect("--plain of a native database, into a directory with its parents, with the map size that is given", () =>
    Effect.gen(function* () {
      const { directory, restore } = yield* withBucket(allObjects, { options: { no_subdir: false } })
      const { code, err, out } = yield* restore("latest", "--plain", "--to", "deep/new", "--map-size", "3MB")
      assert.strictEqual(code, 0, err)
      assert.match(out, /^Map size: +3145728$/m)
      assert.deepStrictEqual(yield* contentOf(`${directory}/deep/new/data.mdb`), live)
      const fs = yield* FileSystem.FileSystem
      assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/deep/new`), ["data.mdb", "data.mdb-lock"])
    })
  )

  it.effect("with dupsort_hack the application's pairs come back, also without their shadow", () =>
    Effect.gen(function* () {
      const key = `${Application.hex("k")}00000000${Application.hex("v")}01`
      const pairs = ofDbis([
        {
          name: DbiName.fromText("pairs"),
          flags: 4n,
          transform: "dupsort_hack_v1",
          entries: ["v", "w"].map((value) => ({
            key: key.replace(Application.hex("v"), Application.hex(value)),
            value: Application.hex(value),
            timestampNano: 7n,
            flags: 0
          }))
        }
      ])
      const { directory, restore } = yield* withBucket(
        { [newer]: objectOf(pairs) },
        { ...shadowMode, dupsort_hack: true }
      )
      for (const args of [[], ["--plain"]]) {
        const { code, err, out } = yield* restore(newer, ...args, "--to", `new${args.length}.lmdb`)
        assert.strictEqual(code, 0, err)
        assert.match(out, /^pairs +2 +\S+ +MDB_DUPSORT/m)
        const dbis = yield* Effect.provide(
          raw,
          LmdbNative.layerWith(nativeOptions(`${directory}/new${args.length}.lmdb`).lmdb),
          { local: true }
        )
        const main = dbis.find(({ name }) => name === DbiName.fromText("pairs"))!
        assert.deepStrictEqual(main.entries, [
          { key: Application.hex("k"), value: Application.hex("v") },
          { key: Application.hex("k"), value: Application.hex("w") }
        ])
        assert.strictEqual(dbis.length, 2 - args.length)
      }
    })
  )

  it.effect("one snapshot by its name, one instance, and what there was at a time", () =>
    Effect.gen(function* () {
      const { directory, restore } = yield* withBucket(allObjects)
      const first: Content = { records: { old: [1n, "was here"], x: [2n, "first"] } }
      const cases: ReadonlyArray<readonly [args: ReadonlyArray<string>, expected: Content]> = [
        [[older], first],
        [["latest", "--at", "2025-01-01T00:00:14.999999999Z"], first],
        [
          ["latest", "--at=20250101-000015-000000000"],
          {
            records: { gone: [8n, "alive"], old: [1n, "was here"], other: [7n, "b"], x: [2n, "first"] }
          }
        ],
        [
          ["latest", "--instance", "a"],
          { records: { gone: [9n, null], old: [5n, null], x: [3n, "second"] }, zones: merged.zones }
        ]
      ]
      for (const [args, expected] of cases) {
        const { code, err } = yield* restore(...args, "--force", "--to", "new.lmdb")
        assert.strictEqual(code, 0, err)
        // A path that this process has had open would be another file by now.
        const fs = yield* FileSystem.FileSystem
        const copy = `${directory}/copy-${args.join("")}`
        yield* fs.copyFile(`${directory}/new.lmdb`, copy)
        assert.deepStrictEqual(yield* contentOf(copy), expected, args.join(" "))
      }
      const none = yield* restore("latest", "--at", "2024-01-01T00:00:00Z", "--to", "none.lmdb")
      assert.strictEqual(none.code, 1)
      assert.match(
        none.err,
        /no snapshot of database .*main.* of 20240101-000000-000000000 or before.*newest ones are of a /
      )
    })
  )

  it.effect("never over a file that is there without --force, and never over one that a process has open", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, files, restore } = yield* withBucket(allObjects)
      const path = `${directory}/live.lmdb`
      yield* Effect.scoped(
        Effect.gen(function* () {
          const application = yield* Application.open(path)
          yield* application.put("mine", "kept", 1n)
          const before = yield* fs.readFile(path)
          const exists = yield* restore("latest", "--to", path)
          assert.strictEqual(exists.code, 1)
          assert.match(exists.err, /live\.lmdb: it exists: .*--force/)
          const open = yield* restore("latest", "--force", "--to", path)
          assert.strictEqual(open.code, 1)
          assert.match(open.err, /it is open in process \d+ \(.*\): stop the application, and sync or receive/)
          assert.deepStrictEqual(yield* fs.readFile(path), before)
          assert.deepStrictEqual(yield* files, ["live.lmdb", "live.lmdb-lock"])
          yield* application.kill
        })
      )
      yield* fs.chmod(path, 0o640)
      const { code, err } = yield* restore("latest", "--force", "--to", path)
      assert.strictEqual(code, 0, err)
      assert.strictEqual((yield* fs.stat(path)).mode & 0o777, 0o640)
      // The lock file of before is no hindrance to the next process.
      const application = yield* LmdbApplication.make({ path, mapSize: 2 ** 26 })
      assert.lengthOf((yield* application.send({ do: "list", dbi: "records" })).entries, 4)
      yield* application.write({ do: "put", dbi: "records", key: "00", value: "00" })
      yield* fs.symlink(path, `${directory}/link`)
      assert.match((yield* restore("latest", "--force", "--to", "link")).err, /it is a symbolic link/)
      assert.match((yield* restore("latest", "--force", "--to", "bucket")).err, /it exists, but is not a regular file/)
    })
  )

  it.effect("of a corrupt snapshot the next-newest, and 1; by its name it fails and leaves nothing", () =>
    Effect.gen(function* () {
      const { directory, files, restore } = yield* withBucket({
        ...allObjects,
        [newer]: allObjects[newer]!.subarray(0, 60)
      })
      const named = yield* restore(newer, "--to", "new.lmdb")
      assert.strictEqual(named.code, 1)
      assert.match(named.err, new RegExp(`${newer}: .*corrupt.*--at`))
      assert.deepStrictEqual(yield* files, [])
      const { code, err, out } = yield* restore("latest", "--to", "new.lmdb")
      assert.strictEqual(code, 1)
      assert.match(
        err,
        new RegExp(`Left out of the restore: the next-newest snapshot of its instance is used.*${newer}`)
      )
      assert.include(out, `\n${older}  2 entries\n`)
      assert.deepStrictEqual(yield* contentOf(`${directory}/new.lmdb`), {
        records: { gone: [8n, "alive"], old: [1n, "was here"], other: [7n, "b"], x: [2n, "first"] }
      })
      const broken = yield* withBucket({ [newer]: new Uint8Array(10) })
      const nothing = yield* broken.restore("latest", "--to", "new.lmdb")
      assert.strictEqual(nothing.code, 1)
      assert.match(nothing.err, /neither it nor an older one can be used/)
      assert.deepStrictEqual(yield* broken.files, [])
    })
  )

  it.effect("with a delta missing restores those after it, tells that one is missing, and ends with 1", () =>
    Effect.gen(function* () {
      const delta = "main__a__20250101-000030-000000000__GX__F20250101-000025-000000000.pbd.gz"
      const { directory, restore } = yield* withBucket({
        [newer]: allObjects[newer]!,
        [delta]: object({ records: [["x", 9, "third"]] })
      })
      const { code, err, out } = yield* restore("latest", "--to", "new.lmdb")
      assert.strictEqual(code, 1, err)
      assert.match(err, new RegExp(`An object before a delta is missing: .*${delta}`))
      assert.include(out, `${newer}  4 entries\n${delta}  1 entries\n`)
      assert.deepStrictEqual((yield* contentOf(`${directory}/new.lmdb`))["records"], {
        gone: [9n, null],
        old: [5n, null],
        x: [9n, "third"]
      })
    })
  )

  it.effect("a gap that only one listing has is no gap: a delta was stored while the listing was read", () =>
    Effect.gen(function* () {
      const [first, second] = [
        "main__a__20250101-000025-000000000__GX__F20250101-000020-000000000.pbd.gz",
        "main__a__20250101-000030-000000000__GX__F20250101-000025-000000000.pbd.gz"
      ]
      const objects: Readonly<Record<string, Uint8Array>> = {
        [newer]: allObjects[newer]!,
        [first]: object({ records: [["y", 8, "between"]] }),
        [second]: object({ records: [["x", 9, "third"]] })
      }
      let listings = 0
      const server = yield* serve((request, response) => {
        if (!request.url!.includes("list-type=2")) {
          const [, bytes] = Object.entries(objects).find(([name]) => request.url!.includes(name))!
          return void response.writeHead(200, { "content-length": String(bytes.length), etag: '"e"' }).end(bytes)
        }
        listings++
        const names = Object.keys(objects).filter((name) => listings > 1 || name !== first)
        const sizes = names.map((name) => objects[name]!.length)
        response.end(listing(...names).replaceAll("<Size>1<", () => `<Size>${sizes.shift()}<`))
      })
      const { directory } = yield* workspace((directory) => ({
        lmdbs: { main: Daemon.nativeFile(`${directory}/live.lmdb`) },
        storage: {
          type: "s3",
          options: { endpoint_url: server.endpoint_url, access_key: "a", secret_key: "s", bucket: "bucket" }
        }
      }))
      const { code, err, out } = yield* runBundled(["restore", "latest", "--to", "new.lmdb"], { cwd: directory })
      assert.strictEqual(code, 0, err)
      assert.notInclude(err, "missing")
      assert.include(out, `${newer}  4 entries\n${first}  1 entries\n${second}  1 entries\n`)
      assert.strictEqual(listings, 2)
    })
  )

  it.effect("leaves nothing when the map is too small, or when it is ended by Ctrl-C", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const large = yield* withBucket({ [newer]: object({ records: many(20_000, 1, 100) }) })
      const small = yield* large.restore("latest", "--to", "new.lmdb", "--map-size", "1MB")
      assert.strictEqual(small.code, 1)
      assert.match(small.err, /the map of 1048576 bytes is full: at least \d+ are needed. Specify a larger --map-size/)
      assert.deepStrictEqual(yield* large.files, [])
      const slow = yield* serve((request, response) => {
        if (request.url!.includes("list-type=2"))
          return void response.end(listing(newer).replace("<Size>1<", "<Size>2000000<"))
        response.writeHead(200, { "content-length": "2000000", etag: '"e"' }).write(Buffer.alloc(1_000))
      })
      const { directory } = yield* workspace((directory) => ({
        lmdbs: { main: Daemon.nativeFile(`${directory}/live.lmdb`) },
        storage: {
          type: "s3",
          options: { endpoint_url: slow.endpoint_url, access_key: "a", secret_key: "s", bucket: "bucket" }
        }
      }))
      const args = [bundled, "restore", "latest", "--to", "new.lmdb"]
      const handle = yield* ChildProcess.make(process.execPath, args, { cwd: directory, stdin: "ignore" })
      const temporary = Effect.map(fs.readDirectory(directory), (names) => names.find((one) => one.endsWith(".tmp")))
      yield* eventually("a temporary file is there", temporary, () => "")
      process.kill(handle.pid, "SIGINT")
      assert.strictEqual(Number(yield* handle.exitCode), 130)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["lightningstream.yaml"])
    })
  )

  it.effect("says what is wrong with the command line before it does anything", () =>
    Effect.gen(function* () {
      const { directory, file, files, restore } = yield* withBucket(allObjects)
      for (const [args, problem] of [
        [["start"], /"start" is neither the name of a snapshot nor latest/],
        [[older, "--at", "2025-01-01T00:00:00Z"], /--at can only be used with latest/],
        [[older, "--db", "other"], /--db other: the snapshot is of database main/],
        [[older, "-i", "b"], /--instance b: the snapshot is of instance a/],
        [["latest", "--db", "other"], /--db other: there is no such database/],
        [["latest", "--at", "yesterday"], /a time such as/],
        [["latest", "--map-size", "1Gb"], /a size in bytes/]
      ] as const) {
        const { code, err } = yield* restore(...args, "--to", "new.lmdb")
        assert.strictEqual(code, 2, args.join(" "))
        assert.match(err, problem)
      }
      assert.match((yield* restore("latest")).err, /--to/)
      const fs = yield* FileSystem.FileSystem
      const config = JSON.parse(yield* fs.readFileString(file))
      config.lmdbs.other = Daemon.nativeFile(`${directory}/other.lmdb`)
      yield* fs.writeFileString(file, JSON.stringify(config))
      const which = yield* restore("latest", "--to", "new.lmdb")
      assert.strictEqual(which.code, 2)
      assert.match(which.err, /--db: specify the database to restore, one of main, other/)
      assert.deepStrictEqual(yield* files, [])
    })
  )
})
