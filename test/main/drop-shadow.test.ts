/** `drop-shadow` as a process, on LMDBs that another process has open. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as DbiName from "../../src/domain/lmdb/DbiName.ts"
import * as LmdbMemory from "../../src/layers/lmdb/memory/LmdbMemory.ts"
import * as LmdbNative from "../../src/layers/lmdb/native/LmdbNative.ts"
import * as LmdbApplication from "../support/fakes/LmdbApplication.ts"
import { nativeOptions, raw } from "../support/fixtures/Environments.ts"
import { dropPrivate } from "../../src/programs/DropShadow.ts"
import { hooked } from "../support/fakes/HookedLmdb.ts"
import * as ConfiguredCommand from "../support/Command.ts"

const native = (path: string, options: object = {}) => ({
  path,
  schema_tracks_changes: true,
  options: { no_subdir: true, create: true, ...options }
})

layer(NodeServices.layer, { excludeTestServices: true })("drop-shadow", (it) => {
  it.effect(
    "drops all DBIs of our own of every database, says what went wrong with one, and goes on; no file is made",
    () =>
      Effect.gen(function* () {
        const { file, directory } = yield* ConfiguredCommand.workspace((directory) => ({
          lmdbs: {
            first: { path: `${directory}/first`, schema_tracks_changes: false, options: { no_subdir: true } },
            missing: native(`${directory}/missing`),
            text: native(`${directory}/lightningstream.yaml`),
            second: native(`${directory}/second`)
          },
          storage: { type: "memory" },
          log: { format: "json" }
        }))
        const applications = yield* Effect.forEach(["first", "second"], (name) =>
          LmdbApplication.make({ path: `${directory}/${name}`, mapSize: 2 ** 20 })
        )
        for (const application of applications) {
          for (const dbi of ["d", "_sync_shadow_d", "_sync", "_sync_meta", "_synx", "x_sync_shadow_"]) {
            yield* application.write({ do: "create", dbi, flags: 0 }, { do: "put", dbi, key: "6b", value: "76" })
          }
        }
        const { code, err, out } = yield* ConfiguredCommand.run(["drop-shadow", "-c", file])
        assert.deepStrictEqual([code, out], [1, ""])
        const lines = err
          .trim()
          .split("\n")
          .map((line): Record<string, unknown> => JSON.parse(line))
        assert.deepStrictEqual(
          lines.map(({ db, level }) => [db, level]),
          [
            ["first", "info"],
            ["missing", "error"],
            ["text", "error"],
            ["second", "info"]
          ]
        )
        assert.deepStrictEqual(lines[0]!["dbis"], ["_sync", "_sync_meta", "_sync_shadow_d"])
        assert.include(String(lines[1]!["error"]), "there is no such file")
        const fs = yield* FileSystem.FileSystem
        assert.deepStrictEqual((yield* fs.readDirectory(directory)).toSorted(), [
          "first",
          "first-lock",
          "lightningstream.yaml",
          "second",
          "second-lock"
        ])
        for (const name of ["first", "second"]) {
          const left = yield* Effect.provide(raw, LmdbNative.layerWith(nativeOptions(`${directory}/${name}`).lmdb), {
            local: true
          })
          assert.deepStrictEqual(
            left.map(({ entries, name }) => [String(name), entries]),
            ["_synx", "d", "x_sync_shadow_"].map((dbi) => [dbi, [{ key: "6b", value: "76" }]])
          )
        }
      })
  )

  it.effect("ends at --timeout with 75 while another process holds the write lock, and has dropped nothing", () =>
    Effect.gen(function* () {
      const { file, directory } = yield* ConfiguredCommand.workspace((directory) => ({
        lmdbs: { main: native(`${directory}/main`) },
        storage: { type: "memory" },
        log: { format: "json" }
      }))
      const application = yield* LmdbApplication.make({ path: `${directory}/main`, mapSize: 2 ** 20 })
      const dbi = "_sync"
      yield* application.write({ do: "create", dbi, flags: 0 }, { do: "put", dbi, key: "6b", value: "76" })
      yield* application.send({ do: "hold" })
      const { code, err } = yield* ConfiguredCommand.run(["drop-shadow", "-c", file, "--timeout", "1s"])
      assert.strictEqual(code, 75, err)
      assert.include(err, "Timeout: not done within 1s")
      yield* application.send({ do: "letGo" })
      assert.lengthOf((yield* application.send({ do: "list", dbi })).entries, 1)
    })
  )

  it.effect("with nothing to drop: does not ask for the write lock once it is open", () =>
    Effect.gen(function* () {
      let writes = 0
      const { application, layer } = LmdbMemory.makeMemoryEnvironment()
      yield* application.write((transaction) => transaction.create(DbiName.fromText("d"), 0))
      const counted = hooked(layer, { beforeWrite: () => Effect.sync(() => void writes++) })
      assert.deepStrictEqual([yield* Effect.provide(dropPrivate, counted), writes], [[], 0])
    })
  )

  it.effect("with nothing to drop: 0, and nothing is written", () =>
    Effect.gen(function* () {
      const { file, directory } = yield* ConfiguredCommand.workspace((directory) => ({
        lmdbs: { first: native(`${directory}/first`) },
        storage: { type: "memory" }
      }))
      const application = yield* LmdbApplication.make({ path: `${directory}/first`, mapSize: 2 ** 20 })
      yield* application.write({ do: "create", dbi: "d", flags: 0 })
      const { code } = yield* ConfiguredCommand.run(["drop-shadow", "-c", file])
      assert.strictEqual(code, 0)
      assert.strictEqual((yield* application.send({ do: "view" })).id, "1")
    })
  )
})
