/**
 * LMDBs that the daemon cannot use, or not yet: what it says, that it ends or waits as it should, and that nothing in
 * them is changed.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { gunzipSync } from "node:zlib"
import { hideFlags } from "../support/fixtures/lmdb/OwnKeyOrder.ts"
import { read } from "../support/fixtures/Golden.ts"
import * as DbiFlags from "../../src/domain/lmdb/DbiFlags.ts"
import * as Application from "../support/Application.ts"
import { folderBucket, nativeFile, quick, run, start } from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import { describeWith, pathOf } from "../support/servers/RealServers.ts"
import { asOrdinaryUser, ordinaryUser, takeAway } from "../support/Confinement.ts"

const temporaryFolder = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "bad-lmdb-" })
)

const snapshot = "main__other__20250101-000000-000000000__GX.pb.gz"

/** A directory with a bucket that holds a snapshot of another instance. */
const withSnapshot = Effect.fnUntraced(function* (golden: string) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* temporaryFolder
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFile(`${directory}/bucket/${snapshot}`, yield* read(golden))
  return directory
})

const configOf = (directory: string, options: object = {}) => ({
  ...quick,
  instance: "ours",
  lmdbs: { main: nativeFile(`${directory}/main.lmdb`, options) },
  storage: folderBucket(`${directory}/bucket`)
})

layer(NodeServices.layer, { excludeTestServices: true })("an LMDB", (it) => {
  it.effect(
    "whose values have no native header: sync and receive end with 1, name DBI and key, and change nothing",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* withSnapshot("ok/native-small.pb.gz")
        const application = yield* Application.open(`${directory}/main.lmdb`)
        yield* application.put("fine", "1", 1n)
        // In the DBI, and with the key, of an entry of the snapshot.
        const key = Application.hex("dirty-tombstone")
        yield* application.write(
          { do: "create", dbi: "uhcxcw", flags: 0 },
          { do: "put", dbi: "uhcxcw", key, value: Application.hex("an application of another kind") }
        )
        const before = yield* application.send({ do: "list", dbi: "uhcxcw" })
        for (const command of ["sync", "receive"]) {
          const { code, text } = yield* run({ args: [command], config: configOf(directory) })
          assert.strictEqual(code, 1, text)
          assert.include(text, "uhcxcw")
          assert.include(text, key)
          assert.include(text, "schema_tracks_changes")
          assert.deepStrictEqual(yield* application.send({ do: "list", dbi: "uhcxcw" }), before)
        }
        assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/bucket`), [snapshot])
      })
  )

  it.effect(
    "whose keys are in an order of the application's own: ends with 1, names DBI and key, and changes nothing",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        for (const schema_tracks_changes of [true, false]) {
          const directory = yield* withSnapshot("ok/native-small.pb.gz")
          const path = `${directory}/main.lmdb`
          const application = yield* Application.open(path)
          const puts = ["a3", "b2", "c1"].map((key) => {
            const value = schema_tracks_changes ? Application.native("mine", 1n) : Application.hex("mine")
            return { do: "put", dbi: "uhcxcw", key: Application.hex(key), value } as const
          })
          yield* application.write({ do: "create", dbi: "uhcxcw", flags: DbiFlags.REVERSEKEY }, ...puts)
          hideFlags(path, "uhcxcw")
          const before = yield* fs.readFile(path)
          const config = { ...configOf(directory), lmdbs: { main: { ...nativeFile(path), schema_tracks_changes } } }
          const { code, text } = yield* run({ args: ["sync"], config })
          assert.strictEqual(code, 1, text)
          assert.include(text, `DBI "uhcxcw", key 0x${Application.hex("b2")}`.replaceAll('"', '\\"'))
          assert.include(text, "mdb_set_compare")
          assert.deepStrictEqual(yield* fs.readFile(path), before)
          assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/bucket`), [snapshot])
        }
      })
  )

  it.effect("of a build with another data format is refused with 1, not crashed on, and stays as it was", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* withSnapshot("ok/native-small.pb.gz")
      // Made by the prebuilt binary of the package `lmdb`, whose format it is.
      const bytes = gunzipSync(yield* fs.readFile(pathOf("../../interop/data-format-2.mdb.gz")))
      yield* fs.writeFile(`${directory}/main.lmdb`, bytes)
      const { code, text } = yield* run({ args: ["sync"], config: configOf(directory) })
      assert.strictEqual(code, 1, text)
      assert.include(text, `${directory}/main.lmdb`)
      assert.include(text, "data format version 2")
      assert.isTrue(bytes.equals(yield* fs.readFile(`${directory}/main.lmdb`)))
    })
  )

  it.effect("that is no LMDB at all is refused with 1, and stays as it was", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* withSnapshot("ok/native-small.pb.gz")
      const text = "a text of somebody's\n".repeat(1000)
      yield* fs.writeFileString(`${directory}/main.lmdb`, text)
      const ended = yield* run({ args: ["sync"], config: configOf(directory, { create: true }) })
      assert.strictEqual(ended.code, 1, ended.text)
      assert.include(ended.text, `${directory}/main.lmdb`)
      assert.strictEqual(yield* fs.readFileString(`${directory}/main.lmdb`), text)
    })
  )

  it.effect("whose size is another than configured is synced, with a warning that names the database", () =>
    Effect.gen(function* () {
      const directory = yield* withSnapshot("ok/native-small.pb.gz")
      yield* Application.open(`${directory}/main.lmdb`)
      const daemon = yield* start({ args: ["sync"], config: configOf(directory, { map_size: "8MB" }) })
      const warning = yield* daemon.logged(`LMDB ${directory}/main.lmdb: options.map_size`)
      assert.deepInclude(warning, { level: "warning", db: "main", instance: "ours" })
    })
  )

  it.effect("that is not there yet is waited for with a warning, and synced when the application has made it", () =>
    Effect.gen(function* () {
      const directory = yield* withSnapshot("ok/native-small.pb.gz")
      const daemon = yield* start({ args: ["sync"], config: configOf(directory) })
      const warning = yield* daemon.logged("Cannot open the LMDB")
      assert.strictEqual(warning.level, "warning")
      assert.include(warning.error!, `${directory}/main.lmdb`)
      assert.include(warning.error!, "options.create")
      const application = yield* Application.open(`${directory}/main.lmdb`)
      yield* application.put("ours", "1", 1n)
      yield* daemon.logged("Loaded remote update")
      yield* application.put("ours", "2", 2n)
      yield* daemon.logged("Stored snapshot", (line) => line["entries"] === 37)
    })
  )

  it.effect(
    "that is full is waited for: used and needed bytes are logged once, sending goes on, the merge follows when there is room",
    () =>
      Effect.gen(function* () {
        const directory = yield* withSnapshot("ok/native-pdns.pb.gz")
        const application = yield* Application.open(`${directory}/main.lmdb`)
        yield* application.put("large", new Uint8Array(900_000), 1n)
        const daemon = yield* start({ args: ["sync"], config: configOf(directory) })
        const full = yield* daemon.logged("Cannot merge a snapshot")
        assert.strictEqual(full.level, "error")
        const [, used, size, needed] = /(\d+) of (\d+) bytes used, at least (\d+) needed/
          .exec(full.error!)!
          .map(Number) as [number, number, number, number]
        assert.isAbove(used, 900_000)
        assert.strictEqual(size, Application.megabyte)
        assert.isAbove(needed, size)
        assert.include(full.error!, "options.map_size")
        // Also a change that makes no room: it is sent, and the merge fails again, silently.
        yield* application.put("small", "1", 2n)
        yield* daemon.logged("Stored snapshot", (line) => line["entries"] === 2)
        assert.deepStrictEqual(Object.keys(yield* application.records), ["large", "small"])
        yield* application.put("large", "", 3n, true)
        // Freed pages cannot be used at once, nor while somebody reads them: it is tried again after each commit of the
        // application.
        yield* eventually(
          "the merge has followed",
          Effect.map(application.put("small", "2", 4n), () =>
            daemon.log.find(({ msg }) => msg === "Loaded remote update")
          ),
          daemon.text
        )
        yield* daemon.logged("Recovered: can merge a snapshot again")
        assert.lengthOf(
          daemon.log.filter(({ msg }) => msg.startsWith("Cannot merge a snapshot")),
          1
        )
        const { entries } = yield* application.send({ do: "list", dbi: "domains_v5" })
        assert.lengthOf(entries, 110)
      })
  )

  it.effect("that is too full for our own old snapshot: nothing is sent over it before it is merged", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* withSnapshot("ok/native-pdns.pb.gz")
      const application = yield* Application.open(`${directory}/main.lmdb`)
      yield* application.put("large", new Uint8Array(900_000), 1n)
      const daemon = yield* start({ args: ["sync"], config: { ...configOf(directory), instance: "other" } })
      yield* daemon.logged("Cannot merge a snapshot")
      assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/bucket`), [snapshot])
      yield* application.put("large", "", 2n, true)
      yield* eventually(
        "both are in a new snapshot",
        Effect.map(application.put("small", "2", 3n), () =>
          daemon.log.find(({ entries, msg }) => msg === "Stored snapshot" && entries === 5414)
        ),
        daemon.text
      )
      const order = daemon.log.map(({ msg }) => msg)
      assert.isBelow(order.indexOf("Loaded remote update"), order.indexOf("Stored snapshot"))
      yield* daemon.signal("SIGTERM")
      assert.strictEqual(yield* daemon.ended, 0)
    })
  )

  it.effect(
    "whose map the application enlarges: ends with 1 and says so, and the next start goes on with the new size",
    () =>
      Effect.gen(function* () {
        const directory = yield* withSnapshot("ok/native-small.pb.gz")
        const path = `${directory}/main.lmdb`
        yield* Effect.scoped(Effect.flatMap(Application.open(path), (application) => application.put("ours", "1", 1n)))
        const config = configOf(directory)
        const daemon = yield* start({ args: ["sync"], config })
        yield* daemon.logged("Initial sync complete")
        const larger = yield* Application.open(path, 32 * 2 ** 20)
        for (let i = 0; i < 40; i++) yield* larger.put(`large-${i}`, "v".repeat(100_000), 2n)
        assert.strictEqual(yield* daemon.ended, 1)
        assert.include(daemon.text(), "another process enlarged the map: restart, so that the new size is used")
        const { code, text } = yield* run({ args: ["sync", "--only-once"], config })
        assert.strictEqual(code, 0, text)
        assert.include(text, "Stored snapshot")
      })
  )

  it.effect("whose file is replaced while it is open: ends with 1 and says so", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* withSnapshot("ok/native-small.pb.gz")
      const application = yield* Application.open(`${directory}/main.lmdb`)
      yield* application.put("ours", "1", 1n)
      const daemon = yield* start({ args: ["sync"], config: configOf(directory) })
      yield* daemon.logged("Initial sync complete")
      yield* fs.copyFile(`${directory}/main.lmdb`, `${directory}/copy.lmdb`)
      yield* fs.rename(`${directory}/copy.lmdb`, `${directory}/main.lmdb`)
      assert.strictEqual(yield* daemon.ended, 1)
      assert.include(daemon.text(), "replaced")
    })
  )
})

describeWith("for an ordinary user", await ordinaryUser(), () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("an LMDB of another user is refused with 1: the message names the file and what it takes", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* withSnapshot("ok/native-small.pb.gz")
        const path = `${directory}/main.lmdb`
        const application = yield* Application.open(path)
        yield* application.put("ours", "1", 1n)
        for (const file of [path, `${path}-lock`]) yield* takeAway(file)
        const { code, text } = yield* run({ under: asOrdinaryUser, args: ["sync"], config: configOf(directory) })
        assert.strictEqual(code, 1, text)
        assert.include(text, path)
        assert.match(text, /user|permission/i)
        assert.deepStrictEqual(yield* application.records, { ours: "1" })
        assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/bucket`), [snapshot])
      })
    )

    it.effect(
      "a bucket directory that cannot be written: the error names it, the daemon goes on, and sends when it may",
      () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const directory = yield* withSnapshot("ok/native-small.pb.gz")
          const application = yield* Application.open(`${directory}/main.lmdb`)
          yield* application.put("ours", "1", 1n)
          yield* fs.chmod(`${directory}/bucket`, 0o555)
          const daemon = yield* start({ under: asOrdinaryUser, args: ["sync"], config: configOf(directory) })
          const problem = yield* daemon.logged("Cannot store a snapshot")
          assert.strictEqual(problem.level, "error")
          assert.include(problem.error!, `${directory}/bucket`)
          // Merges go on meanwhile.
          yield* daemon.logged("Loaded remote update")
          yield* application.put("ours", "2", 2n)
          yield* fs.chmod(`${directory}/bucket`, 0o755)
          yield* daemon.logged("Recovered: can store a snapshot again")
          assert.lengthOf(
            daemon.log.filter(({ msg }) => msg.startsWith("Cannot store a snapshot")),
            1
          )
          assert.isDefined(
            (yield* fs.readDirectory(`${directory}/bucket`)).find((name) => name.startsWith("main__ours__"))
          )
        })
    )
  })
})
