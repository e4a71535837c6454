/**
 * Settings that only a whole daemon shows: each is in the file, and its effect is seen on the files, the threads, or
 * the requests of the process.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { readMeta } from "../../src/layers/lmdb/native/DataFile.ts"
import { read } from "../support/fixtures/Golden.ts"
import { listing, serve } from "../support/servers/HandMadeServer.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { hex, megabyte, native } from "../support/Application.ts"
import { folderBucket, nativeFile, quick, run, start } from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"

/** A directory with a bucket that holds a snapshot of another instance. */
const withSnapshot = Effect.fnUntraced(function* (golden: string) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "settings-" })
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFile(`${directory}/bucket/main__other__20250101-000000-000000000__GX.pb.gz`, yield* read(golden))
  return directory
})

const configOf = (directory: string, lmdb: object, more: object = {}) => ({
  ...quick,
  instance: "ours",
  lmdbs: { main: lmdb },
  storage: folderBucket(`${directory}/bucket`),
  ...more
})

const receiveOnce = (directory: string, lmdb: object) =>
  run({ args: ["receive", "--only-once"], config: configOf(directory, lmdb) })

const threadsOf = Effect.fnUntraced(function* (pid: number) {
  const fs = yield* FileSystem.FileSystem
  const tasks = yield* fs.readDirectory(`/proc/${pid}/task`)
  const names = yield* Effect.forEach(tasks, (task) => fs.readFileString(`/proc/${pid}/task/${task}/comm`))
  return names.filter((name) => name.trim() === "WorkerThread").length
})

layer(NodeServices.layer, { excludeTestServices: true })("a setting of the file", (it) => {
  it.effect(
    "lmdbs: a file that is made has map_size, dir_mask and file_mask; values get the header_extra_padding_block",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* withSnapshot("ok/native-small.pb.gz")
        const modeOf = (path: string) => Effect.map(fs.stat(path), ({ mode }) => mode & 0o777)
        // Narrower than any usual umask.
        const options = { create: true, map_size: "3MB", dir_mask: 0o710, file_mask: 0o600 }
        const path = `${directory}/made/main.lmdb`
        const { code, text } = yield* receiveOnce(directory, {
          ...nativeFile(path, options),
          header_extra_padding_block: true
        })
        assert.strictEqual(code, 0, text)
        assert.deepStrictEqual(
          [yield* modeOf(`${directory}/made`), yield* modeOf(path), yield* modeOf(`${path}-lock`)],
          [0o710, 0o600, 0o600]
        )
        assert.strictEqual(readMeta(path)?.mapSize, 3 * megabyte)
        const application = yield* LmdbApplication.make({ path, mapSize: 3 * megabyte })
        const { entries } = yield* application.send({ do: "list", dbi: "uhcxcw" })
        assert.lengthOf(entries, 10)
        // The number of extension blocks, and the block.
        for (const [, value] of entries)
          assert.deepStrictEqual([value.slice(44, 48), value.slice(48, 64)], ["0001", "0".repeat(16)])
      })
  )

  it.effect("max_dbs: a snapshot with one DBI more than that is refused, which says what to raise", () =>
    Effect.gen(function* () {
      const directory = yield* withSnapshot("ok/native-small.pb.gz")
      const lmdb = (max_dbs: number) => nativeFile(`${directory}/${max_dbs}.lmdb`, { create: true, max_dbs })
      const few = yield* receiveOnce(directory, lmdb(2))
      assert.strictEqual(few.code, 1, few.text)
      assert.match(few.text, /refused: .*more than options\.max_dbs, 2: raise options\.max_dbs/)
      assert.strictEqual((yield* receiveOnce(directory, lmdb(3))).code, 0)
    })
  )

  it.effect("override_create_flags: a snapshot that does not tell the flags of its DBIs is merged with those", () =>
    Effect.gen(function* () {
      const directory = yield* withSnapshot("ok/v1-shadow.pb.gz")
      const lmdb = (dbi_options: object) => ({
        ...nativeFile(`${directory}/main.lmdb`, { create: true }),
        schema_tracks_changes: false,
        dbi_options
      })
      const without = yield* receiveOnce(directory, lmdb({ u32: { override_create_flags: "MDB_INTEGERKEY" } }))
      assert.strictEqual(without.code, 1, without.text)
      assert.match(without.text, /refused: .*plain.*override_create_flags/)
      const { code, text } = yield* receiveOnce(
        directory,
        lmdb({ u32: { override_create_flags: "MDB_INTEGERKEY" }, plain: { override_create_flags: 0 } })
      )
      assert.strictEqual(code, 0, text)
    })
  )

  it.effect("snapshot_compression: zstd is what is stored, and read by those who store gzip", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "settings-" })
      const application = yield* LmdbApplication.make({ path: `${directory}/main.lmdb`, mapSize: megabyte })
      yield* application.write(
        { do: "create", dbi: "records", flags: 0 },
        { do: "put", dbi: "records", key: hex("k"), value: native("v", 5n) }
      )
      const sent = yield* run({
        args: ["sync", "--only-once"],
        config: configOf(directory, nativeFile(`${directory}/main.lmdb`), { snapshot_compression: "zstd" })
      })
      assert.strictEqual(sent.code, 0, sent.text)
      assert.deepInclude(
        sent.log.find(({ msg }) => msg === "Stored snapshot")!,
        { snapshot_kind: "snapshot" }
      )
      const names = yield* fs.readDirectory(`${directory}/bucket`)
      assert.match(names.join(" "), /^main__ours__\S+__GX__D1\.pb\.zst$/)
      const config = configOf(directory, nativeFile(`${directory}/other.lmdb`, { create: true }), { instance: "other" })
      const { code, log, text } = yield* run({ args: ["receive", "--only-once"], config })
      assert.strictEqual(code, 0, text)
      assert.deepInclude(
        log.find(({ msg }) => msg === "Loaded remote update")!,
        { kind: "snapshot", entries_written: 1 }
      )
    })
  )

  for (const database_workers of [1, 3]) {
    it.effect(`database_workers: as many threads own the databases: ${database_workers}`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "settings-" })
        const names = ["a", "b", "c"]
        const daemon = yield* start({
          args: ["sync"],
          config: {
            ...configOf(directory, {}, { database_workers }),
            lmdbs: Object.fromEntries(
              names.map((name) => [name, nativeFile(`${directory}/${name}.lmdb`, { create: true })])
            )
          }
        })
        for (const name of names) yield* daemon.logged("Initial sync complete", ({ db }) => db === name)
        assert.strictEqual(yield* threadsOf(daemon.pid), database_workers)
      })
    )
  }

  it.effect("memory_downloaded_snapshots: no more are loaded at once, of each database", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "settings-" })
      const loading = new Set<string>()
      const names = ["a", "b", "c", "d", "e", "f"].map((name) => `main__${name}__20250101-000000-000000000__GX.pb.gz`)
      const server = yield* serve((request, response) => {
        const name = names.find((one) => request.url!.includes(one))
        // A load never ends.
        if (name === undefined) response.end(listing(...names))
        else loading.add(name)
      })
      const options = { bucket: "bucket", endpoint_url: server.endpoint_url, access_key: "a", secret_key: "s" }
      const storage = { type: "s3", options }
      yield* start({
        args: ["receive"],
        config: configOf(directory, nativeFile(`${directory}/main.lmdb`, { create: true }), {
          storage,
          memory_downloaded_snapshots: 4,
          memory_decompressed_snapshots: 1
        })
      })
      yield* eventually(
        "four are being loaded",
        Effect.sync(() => (loading.size >= 4 ? true : undefined)),
        () => Array.from(loading).join()
      )
      yield* Effect.sleep("1 second")
      assert.strictEqual(loading.size, 4)
    })
  )
})
