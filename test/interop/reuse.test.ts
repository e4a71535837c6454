/** With the real command: what a full snapshot takes from the last one, and what a merge skips, is told in the log. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"

const value = Application.native("v".repeat(3_000), 1n)

/** An application with two DBIs, of which one never changes, and a daemon whose spools are in files. `settings` win. */
const startSide = Effect.fnUntraced(function* (settings: object = {}) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "reuse-" })
  yield* fs.makeDirectory(`${directory}/bucket`)
  const application = yield* Application.open(`${directory}/main.lmdb`)
  yield* application.write({ do: "create", dbi: "still", flags: 0 })
  yield* application.write({ do: "put", dbi: "still", key: Application.hex("key"), value })
  const config = (instance: string, path: string) => ({
    ...Daemon.quick,
    instance,
    delta_snapshots: "never",
    spool_memory: "1B",
    lmdbs: { main: Daemon.nativeFile(path) },
    storage: Daemon.folderBucket(`${directory}/bucket`),
    ...settings
  })
  const daemon = yield* Daemon.start({ args: ["sync"], config: config("ours", `${directory}/main.lmdb`) })
  return { application, daemon, config, directory }
})

layer(NodeServices.layer, { excludeTestServices: true })("a snapshot after a small change", (it) => {
  it.effect("takes what has not changed from the last one, and the other side skips it", () =>
    Effect.gen(function* () {
      const { application, config, daemon, directory } = yield* startSide()
      yield* daemon.logged("Initial sync complete")
      const other = yield* Daemon.start({
        args: ["sync"],
        config: {
          ...config("other", ""),
          lmdbs: { main: Daemon.nativeFile(`${directory}/other.lmdb`, { create: true }) }
        }
      })
      yield* other.logged("Loaded remote update")
      yield* application.put("changed", "1", 2n)
      const stored = yield* daemon.logged("Stored snapshot", (line) => line["entries"] === 2)
      assert.isAbove(Number(stored["reused_size"]), 3_000)
      const merged = yield* other.logged("Loaded remote update", (line) => line["entries_read"] === 2)
      assert.strictEqual(merged["entries_skipped"], 1)
      assert.strictEqual(merged["entries_written"], 1)
    })
  )

  it.effect("with spool_keep_last: false, compresses all of it", () =>
    Effect.gen(function* () {
      const { application, daemon } = yield* startSide({ spool_keep_last: false })
      yield* daemon.logged("Initial sync complete")
      yield* application.put("changed", "1", 2n)
      const stored = yield* daemon.logged("Stored snapshot", (line) => line["entries"] === 2)
      assert.strictEqual(stored["reused_size"], 0)
    })
  )
})
