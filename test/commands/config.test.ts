/** `config check` and `config show` as processes. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { bundle, runBundled, workspace } from "../support/Command.ts"

const usual = (directory: string) => ({
  instance: "a",
  lmdbs: { main: { path: `${directory}/main.lmdb`, schema_tracks_changes: true } },
  storage: { type: "s3", options: { bucket: "b", access_key: "ACCESS-1", secret_key: "SECRET-2" } }
})

layer(NodeServices.layer, { excludeTestServices: true })("config", (it) => {
  it.effect("check says that it can be used, or lists all that is wrong with 2, and opens nothing", () =>
    Effect.gen(function* () {
      yield* bundle
      const fs = yield* FileSystem.FileSystem
      const { directory } = yield* workspace(usual)
      const good = yield* runBundled(["config", "check"], { cwd: directory })
      assert.strictEqual(good.code, 0, good.err)
      assert.strictEqual(good.out, "lightningstream.yaml: the configuration can be used\n")
      const odd = { ...usual(directory), health: { start: { interval: "1ms" } } }
      yield* fs.writeFileString(`${directory}/odd.yaml`, JSON.stringify(odd))
      const warned = yield* runBundled(["config", "check", "-c", "odd.yaml"], { cwd: directory })
      yield* fs.remove(`${directory}/odd.yaml`)
      assert.strictEqual(warned.code, 0)
      assert.match(warned.err, /level=warning.*health\.start\.interval: 1ms counts as 1s/)
      yield* fs.writeFileString(`${directory}/bad.yaml`, "lmdbs: { main: { pth: x } }\nstorage: { type: ftp }\n")
      const bad = yield* runBundled(["config", "check", "-c", "bad.yaml"], { cwd: directory })
      assert.strictEqual(bad.code, 2)
      for (const key of ["lmdbs.main.pth: ", "lmdbs.main.path: ", "storage.type: "]) assert.include(bad.err, key)
      assert.strictEqual(bad.out, "")
      assert.deepStrictEqual((yield* fs.readDirectory(directory)).toSorted(), ["bad.yaml", "lightningstream.yaml"])
    })
  )

  it.effect("show prints what is in effect, defaults and options included, and no secret", () =>
    Effect.gen(function* () {
      yield* bundle
      const { directory } = yield* workspace(usual)
      const { code, err, out } = yield* runBundled(["config", "show", "-i", "b"], { cwd: directory })
      assert.strictEqual(code, 0, err)
      assert.match(out, /^instance: b$/m)
      assert.include(out, `path: ${directory}/main.lmdb\n`)
      assert.match(out, /^ +bucket: b$/m)
      assert.match(out, /^storage_poll_interval: 1s$/m)
      for (const secret of ["ACCESS-1", "SECRET-2"]) assert.notInclude(out, secret)
    })
  )
})
