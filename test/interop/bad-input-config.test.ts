/** Configurations that cannot work, as a user meets them: what the command says, and that it touches nothing. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import { folderBucket, nativeFile, quick, run } from "../support/Daemon.ts"

const temporaryFolder = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  fs.makeTempDirectoryScoped({ prefix: "bad-config-" })
)

layer(NodeServices.layer, { excludeTestServices: true })("a configuration that cannot work", (it) => {
  it.effect("with five mistakes is refused with 2, and all five are named by key path, value and what is allowed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporaryFolder
      const { code, text } = yield* run({
        args: ["sync", "--only-once"],
        config: `
storage_poll_interval: 1ms
storage_retry_count: none
lmdbs:
  main:
    path: ${directory}/db/main.lmdb
    schema_tracks_changes: true
    options: { no_subdir: true, create: true, map_size: 10Mb }
  other: { schema_tracks_changes: true }
storage:
  type: fs
  options: { root_path: ${directory}/bucket, rootpath: ${directory}/bucket }
`
      })
      assert.strictEqual(code, 2, text)
      assert.match(text, /storage_poll_interval: .*100ms.*1ms/)
      assert.match(text, /storage_retry_count: .*integer.*none/)
      assert.match(text, /lmdbs\.main\.options\.map_size: .*10Mb/)
      assert.match(text, /lmdbs\.other\.path: required/)
      assert.match(text, /storage\.options\.rootpath: unknown key/)
      assert.include(text, "lightningstream.yaml")
      // For people, not for us.
      assert.notMatch(text, /^\s+at /m)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
    })
  )

  it.effect("that is not there is refused with 2, and the file is named", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryFolder
      const { code, text } = yield* run({ args: ["sync", "-c", `${directory}/nowhere.yaml`], config: "" })
      assert.strictEqual(code, 2, text)
      assert.include(text, `${directory}/nowhere.yaml`)
    })
  )

  it.effect(
    "with one LMDB under two names is refused, by path, symbolic link, hard link or directory, and the LMDB stays as it was",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* temporaryFolder
        const path = `${directory}/main.lmdb`
        const application = yield* Application.open(path)
        yield* application.put("a", "1", 1n)
        yield* fs.symlink(path, `${directory}/link.lmdb`)
        yield* fs.link(path, `${directory}/hard.lmdb`)
        yield* fs.symlink(directory, `${directory}/elsewhere`)
        const before = yield* application.send({ do: "list", dbi: "records" })
        for (const other of [
          path,
          `${directory}/link.lmdb`,
          `${directory}/hard.lmdb`,
          `${directory}/elsewhere/main.lmdb`
        ]) {
          const { code, text } = yield* run({
            args: ["sync"],
            config: {
              ...quick,
              lmdbs: { one: nativeFile(path), two: nativeFile(other) },
              storage: folderBucket(`${directory}/bucket`)
            }
          })
          assert.oneOf(code, [1, 2], text)
          assert.match(text, /is the same data file as|the same as/)
          assert.match(text, /one[\s\S]*two|two[\s\S]*one/)
          assert.match(text, /own path|only once/)
        }
        assert.deepStrictEqual(yield* application.send({ do: "list", dbi: "records" }), before)
      })
  )
})
