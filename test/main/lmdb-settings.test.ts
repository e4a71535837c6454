/**
 * What the sections of `lmdbs`, and the settings of how they are written to, do in the files: each seen by its effect.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import * as LmdbNative from "../../src/layers/lmdb/native/LmdbNative.ts"
import { readMeta } from "../../src/layers/lmdb/native/DataFile.ts"
import { Lmdb, type LmdbError } from "../../src/services/Lmdb.ts"
import { largeObject } from "../support/fakes/DatabaseLayers.ts"
import { optionsOf } from "../support/fakes/LmdbNativeSubject.ts"
import { object } from "../support/fixtures/Snapshots.ts"
import * as Daemon from "../support/Daemon.ts"
import { run, workspace } from "../support/Command.ts"

interface Content {
  readonly lastId: bigint
  readonly flags: Readonly<Record<string, number>>
  /** Of each DBI the first value. */
  readonly values: Readonly<Record<string, Buffer>>
}

const contentOf = (directory: string): Effect.Effect<Content, LmdbError> =>
  Effect.gen(function* () {
    const { dbis, cursor, id } = yield* (yield* Lmdb).read
    const values = dbis.flatMap(({ name }) => {
      const first = cursor(name)
      return first.next()
        ? [[DbiName.display(name), Buffer.from(first.value.slice(first.valueStart, first.valueEnd))] as const]
        : []
    })
    return {
      lastId: id,
      flags: Object.fromEntries(dbis.map(({ flags, name }) => [DbiName.display(name), flags])),
      values: Object.fromEntries(values)
    }
  }).pipe(
    Effect.scoped,
    Effect.provide(LmdbNative.layerWith(optionsOf(directory, { create: false, noSubdir: false })), { local: true })
  )

/** One round of `receive`, of another instance's snapshot, into an LMDB that it makes. `section` and `settings` win. */
const receive = Effect.fnUntraced(function* (snapshot: Uint8Array, section: object, settings: object = {}) {
  const fs = yield* FileSystem.FileSystem
  const { file, directory } = yield* workspace((directory) => ({
    ...Daemon.quick,
    lmdbs: {
      main: { path: `${directory}/lmdb/main`, schema_tracks_changes: true, options: { create: true }, ...section }
    },
    storage: Daemon.folderBucket(`${directory}/bucket`),
    ...settings
  }))
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFile(`${directory}/bucket/main__other__20250101-000000-000000000__GX.pb.gz`, snapshot)
  const result = yield* run(["receive", "--only-once", "-c", file])
  return { ...result, directory }
})

const small = object({ d: [["k", 5n, "v"]] })

layer(NodeServices.layer, { excludeTestServices: true })("settings of an LMDB", (it) => {
  it.effect("options: what is made has the map size and the modes, in a directory or as a file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const options = { create: true, map_size: "3MB", dir_mask: 0o710, file_mask: 0o640 }
      const modeOf = (path: string) => Effect.map(fs.stat(path), ({ mode }) => (mode & 0o777).toString(8))
      const inFolder = yield* receive(small, { options })
      assert.strictEqual(inFolder.code, 0, inFolder.err)
      const made = ["lmdb", "lmdb/main", "lmdb/main/data.mdb", "lmdb/main/lock.mdb"]
      assert.deepStrictEqual(yield* Effect.forEach(made, (name) => modeOf(`${inFolder.directory}/${name}`)), [
        "710",
        "710",
        "640",
        "640"
      ])
      assert.strictEqual(readMeta(`${inFolder.directory}/lmdb/main/data.mdb`)!.mapSize, 3 * 2 ** 20)
      const asFile = yield* receive(small, { options: { ...options, no_subdir: true } })
      assert.strictEqual(asFile.code, 0, asFile.err)
      assert.deepStrictEqual((yield* fs.readDirectory(`${asFile.directory}/lmdb`)).toSorted(), ["main", "main-lock"])
    })
  )

  it.effect("options.max_dbs: as many fit, and one more is an error that names the setting", () =>
    Effect.gen(function* () {
      const two = object({ d: [["k", 5, "v"]], e: [["k", 5, "v"]] })
      const fits = yield* receive(two, { options: { create: true, max_dbs: 2 } })
      assert.strictEqual(fits.code, 0, fits.err)
      const one = yield* receive(two, { options: { create: true, max_dbs: 1 } })
      assert.strictEqual(one.code, 1, one.err)
      assert.include(one.err, "more than options.max_dbs, 1: raise options.max_dbs, and restart")
    })
  )

  it.effect("options.create: without it a file that is not there is not made, and --only-once ends with 1", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { code, err, directory } = yield* receive(small, { options: {} })
      assert.strictEqual(code, 1, err)
      assert.include(err, "options.create: true")
      assert.isFalse(yield* fs.exists(`${directory}/lmdb`))
    })
  )

  it.effect("header_extra_padding_block: one block of zeros in what a merge writes", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      for (const header_extra_padding_block of [false, true]) {
        const { code, err, directory } = yield* receive(small, { header_extra_padding_block })
        assert.strictEqual(code, 0, err)
        sizes.push((yield* contentOf(`${directory}/lmdb/main`)).values["d"]!.length)
      }
      assert.deepStrictEqual(sizes, [24 + 1, 24 + 8 + 1])
    })
  )

  it.effect("dbi_options: override_create_flags say how a DBI is made, by its name", () =>
    Effect.gen(function* () {
      const lines = object({ d: [["four", 5n, "v"]] })
      const section = { schema_tracks_changes: false, dbi_options: { e: { override_create_flags: "MDB_INTEGERKEY" } } }
      const other = yield* receive(lines, section)
      assert.strictEqual(other.code, 0, other.err)
      assert.deepStrictEqual((yield* contentOf(`${other.directory}/lmdb/main`)).flags, {
        _sync_shadow_d: 0,
        d: 0
      })
      const refused = yield* receive(lines, { ...section, dbi_options: { d: section.dbi_options.e } })
      assert.strictEqual(refused.code, 1, refused.err)
      assert.include(refused.err, "it has the flags none, the DBI here has MDB_INTEGERKEY")
    })
  )

  it.effect("merge_lock_duration: a large merge is one transaction, or several", () =>
    Effect.gen(function* () {
      const large = largeObject(100_000)
      const lastIds: Array<bigint> = []
      for (const merge_lock_duration of ["0s", "10ms"]) {
        const { code, err, directory } = yield* receive(large, {}, { merge_lock_duration })
        assert.strictEqual(code, 0, err)
        lastIds.push((yield* contentOf(`${directory}/lmdb/main`)).lastId)
      }
      assert.strictEqual(lastIds[0], 1n)
      assert.isAbove(Number(lastIds[1]), 1)
    })
  )

  it.effect("database_workers: so many threads, and no more than there are databases by default", () =>
    Effect.gen(function* () {
      // Each thread of the command but the first says so.
      const source = `import { isMainThread } from "node:worker_threads"; if (!isMainThread) process.stderr.write("a thread\\n")`
      const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(source)}` }
      const fs = yield* FileSystem.FileSystem
      for (const [settings, threads] of [
        [{ database_workers: 2 }, 2],
        [{ database_workers: 1 }, 1],
        [{}, undefined]
      ] as const) {
        const { file, directory } = yield* workspace((directory) => ({
          ...Daemon.quick,
          lmdbs: Object.fromEntries(
            ["a", "b", "c"].map((name) => [name, Daemon.nativeFile(`${directory}/${name}.lmdb`, { create: true })])
          ),
          storage: Daemon.folderBucket(`${directory}/bucket`),
          ...settings
        }))
        yield* fs.makeDirectory(`${directory}/bucket`)
        const { code, err } = yield* run(["sync", "--only-once", "-c", file], { env })
        assert.strictEqual(code, 0, err)
        const count = err.match(/^a thread$/gm)?.length ?? 0
        if (threads === undefined) assert.isAtMost(count, 3)
        else assert.strictEqual(count, threads)
      }
    })
  )
})
