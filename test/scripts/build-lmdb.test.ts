/**
 * The command that builds the package `lmdb`, as it stands in another project. Of that package there is a small
 * stand-in here; npm is the real one.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Config, Effect, FileSystem } from "effect"
import { execute } from "../support/Command.ts"
import { pathOf } from "../support/servers/RealServers.ts"

/** A new project that has both packages, in which no install script has run. */
const project = Effect.fnUntraced(function* (installScript: string) {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "project-" })
  const [ours, lmdb] = [`${folder}/node_modules/lightningstream/scripts`, `${folder}/node_modules/lmdb`]
  yield* Effect.forEach([ours, lmdb], (path) => fs.makeDirectory(path, { recursive: true }))
  yield* fs.copyFile(pathOf("../../../scripts/build-lmdb.mjs"), `${ours}/build-lmdb.mjs`)
  const files = {
    "package.json": JSON.stringify({ name: "project", dependencies: { lmdb: "1.0.0" } }),
    "node_modules/lmdb/package.json": JSON.stringify({
      name: "lmdb",
      version: "1.0.0",
      main: "index.js",
      scripts: { install: "node install.js" }
    }),
    // The fork before, and the stock format once it is built.
    "node_modules/lmdb/index.js": `exports.version = { patch: require("fs").existsSync(__dirname + "/build/Release") ? 29 : 90 }`,
    "node_modules/lmdb/install.js": installScript
  }
  yield* Effect.forEach(Object.entries(files), ([name, text]) => fs.writeFileString(`${folder}/${name}`, text))
  return folder
})

/** With nothing in its environment of the npm that runs these tests. */
const build = Effect.fnUntraced(function* (folder: string, ...settings: ReadonlyArray<string>) {
  const [path, home] = [yield* Config.String("PATH"), yield* Config.String("HOME")]
  const script = "node_modules/lightningstream/scripts/build-lmdb.mjs"
  return yield* execute(["env", "-i", `PATH=${path}`, `HOME=${home}`, ...settings, process.execPath, script], {
    cwd: folder
  })
})

const building = `const { LMDB_DATA_V1, npm_config_build_from_source } = process.env
  if (LMDB_DATA_V1 === "true" && npm_config_build_from_source === "true") require("fs").mkdirSync("build/Release", { recursive: true })`

layer(NodeServices.layer, { excludeTestServices: true })("the command that builds the package lmdb", (it) => {
  it.effect("builds it from source with the v1 data format, once", () =>
    Effect.gen(function* () {
      const folder = yield* project(building)
      const first = yield* build(folder)
      assert.strictEqual(first.code, 0, first.out + first.err)
      assert.include(first.out, "building lmdb 1.0.0 with the v1 data format")
      assert.deepStrictEqual(yield* build(folder), { code: 0, out: "", err: "" })
    })
  )

  it.effect("builds it where npm was told not to run install scripts: that is why somebody has to run it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      for (const setting of ["ignore-scripts=true", "strict-allow-scripts=true"]) {
        const folder = yield* project(building)
        yield* fs.writeFileString(`${folder}/.npmrc`, `${setting}\n`)
        const { code, err, out } = yield* build(folder)
        assert.strictEqual(code, 0, `${setting}: ${out}${err}`)
      }
      const folder = yield* project(building)
      const { code, err, out } = yield* build(folder, "npm_config_ignore_scripts=true")
      assert.strictEqual(code, 0, out + err)
    })
  )

  it.effect("says what it needs, and how to run it again, when the build fails or is not the right one", () =>
    Effect.gen(function* () {
      for (const script of ["process.exit(1)", ""]) {
        const folder = yield* project(script)
        const { code, err } = yield* build(folder)
        assert.strictEqual(code, 1)
        assert.include(err, "apt-get install g++ make python3")
        assert.include(
          err,
          `Then run: node ${yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.realPath(folder))}/node_modules/lightningstream/scripts/build-lmdb.mjs`
        )
      }
    })
  )
})
