/**
 * The command that builds the package `lmdb`, as it stands in another project. Of that package there is a small
 * stand-in here; npm is the real one.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Config, Effect, FileSystem } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- the checksum that sha256sum prints
import { createHash } from "node:crypto"
import { execute } from "../support/Command.ts"
import { pathOf } from "../support/servers/RealServers.ts"

const patch = `A patch of the stand-in.

--- a/src/version.h
+++ b/src/version.h
@@ -1,2 +1,2 @@
 /* the stand-in */
-#define MDB_VERSION_DATE "2021"
+#define MDB_VERSION_DATE "2021; patched 1"
`

/** A new project that has both packages, in which no install script has run. */
const project = Effect.fnUntraced(function* (installScript: string) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "project-" })
  const [ours, lmdb] = [`${directory}/node_modules/lightningstream`, `${directory}/node_modules/lmdb`]
  yield* Effect.forEach([`${ours}/scripts`, `${ours}/patches`, `${lmdb}/src`], (path) =>
    fs.makeDirectory(path, { recursive: true })
  )
  for (const name of ["build-lmdb.mjs", "lmdb"]) {
    yield* fs.copy(pathOf(`../../../scripts/${name}`), `${ours}/scripts/${name}`)
  }
  yield* fs.symlink(pathOf("../../../node_modules/diff"), `${directory}/node_modules/diff`)
  const files = {
    "package.json": JSON.stringify({ name: "project", dependencies: { lmdb: "1.0.0" } }),
    "node_modules/lightningstream/patches/version.patch": patch,
    "node_modules/lmdb/package.json": JSON.stringify({
      name: "lmdb",
      version: "1.0.0",
      main: "index.js",
      scripts: { install: "node install.js" }
    }),
    // The fork before, and the stock format once it is built, of what the source was then, or the compiled addon is.
    "node_modules/lmdb/index.js": `const fs = require("fs"), release = __dirname + "/build/Release"
      const built = ["version.h", "lmdb.node"].map((name) => release + "/" + name).find(fs.existsSync)
      const date = built !== undefined ? /"(.*)"/.exec(fs.readFileSync(built, "utf8"))[1] : undefined
      const fork = { patch: 90, versionString: "(fork)" }
      exports.version = date === undefined ? fork : { patch: 29, versionString: "(" + date + ")" }`,
    "node_modules/lmdb/install.js": installScript,
    "node_modules/lmdb/src/version.h": `/* the stand-in */\n#define MDB_VERSION_DATE "2021"\n`
  }
  yield* Effect.forEach(Object.entries(files), ([name, text]) => fs.writeFileString(`${directory}/${name}`, text))
  return directory
})

const script = "node_modules/lightningstream/scripts/build-lmdb.mjs"

/** With nothing in its environment of the npm that runs these tests. */
const build = Effect.fnUntraced(function* (
  directory: string,
  {
    args = [],
    env = {}
  }: { readonly args?: ReadonlyArray<string>; readonly env?: Readonly<Record<string, string>> } = {}
) {
  const all = { PATH: yield* Config.String("PATH"), HOME: yield* Config.String("HOME"), ...env }
  const assignments = Object.entries(all).map(([name, value]) => `${name}=${value}`)
  return yield* execute(["env", "-i", ...assignments, process.execPath, script, ...args], { cwd: directory })
})

const runHere = (directory: string) =>
  Effect.map(
    Effect.flatMap(FileSystem.FileSystem, (fs) => fs.realPath(directory)),
    (path) => `run: node ${path}/${script}`
  )

const addons = `${process.platform}-${process.arch}`

/** Addons as the package brings them. */
const bring = Effect.fnUntraced(function* (directory: string, contents: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  const prebuilds = `${directory}/node_modules/lightningstream/prebuilds`
  yield* fs.makeDirectory(`${prebuilds}/${addons}`, { recursive: true })
  const sums = yield* Effect.forEach(Object.entries(contents), ([name, text]) => {
    const sum = createHash("sha256").update(text).digest("hex")
    return Effect.as(fs.writeFileString(`${prebuilds}/${addons}/${name}`, text), `${sum}  ${addons}/${name}\n`)
  })
  yield* fs.writeFileString(`${prebuilds}/SHA256SUMS`, sums.join(""))
  return `${prebuilds}/${addons}`
})

const compiled = `"2021; patched 1"`

const building = `console.log("says the compiler")
  const { LMDB_DATA_V1, npm_config_build_from_source } = process.env, fs = require("fs")
  if (LMDB_DATA_V1 === "true" && npm_config_build_from_source === "true") {
    fs.mkdirSync("build/Release", { recursive: true })
    fs.copyFileSync("src/version.h", "build/Release/version.h")
  }`

layer(NodeServices.layer, { excludeTestServices: true })("the command that builds the package lmdb", (it) => {
  it.effect("builds it from source with the v1 data format and our patches, once, and says so in one line", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* project(building)
      const { code, err, out } = yield* build(directory)
      assert.deepStrictEqual([code, err], [0, ""], out)
      assert.match(out, /^lightningstream: building lmdb 1\.0\.0 from source .*\n$/)
      assert.include(yield* fs.readFileString(`${directory}/node_modules/lmdb/build/Release/version.h`), "patched 1")
      assert.deepStrictEqual(yield* build(directory), { code: 0, out: "", err: "" })
    })
  )

  it.effect("builds again what has other patches, or none", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* project(building)
      const built = `${directory}/node_modules/lmdb/build/Release/version.h`
      yield* fs.makeDirectory(`${directory}/node_modules/lmdb/build/Release`, { recursive: true })
      yield* fs.copyFile(`${directory}/node_modules/lmdb/src/version.h`, built)
      for (const number of ["1", "12"]) {
        const next = patch.replace("patched 1", `patched ${number}`)
        yield* fs.writeFileString(`${directory}/node_modules/lightningstream/patches/version.patch`, next)
        const { code, err, out } = yield* build(directory)
        assert.deepStrictEqual([code, err], [0, ""], out)
        assert.include(yield* fs.readFileString(built), `patched ${number}"`)
      }
      // 1 is not 12.
      yield* fs.writeFileString(`${directory}/node_modules/lightningstream/patches/version.patch`, patch)
      const { code, err, out } = yield* build(directory)
      assert.deepStrictEqual([code, err], [0, ""], out)
      assert.include(yield* fs.readFileString(built), `patched 1"`)
    })
  )

  it.effect("refuses a source that the patches are not for, and leaves it as it is", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* project(building)
      const source = `${directory}/node_modules/lmdb/src/version.h`
      yield* fs.writeFileString(source, `#define MDB_VERSION_DATE "2026"\n`)
      const { code, err } = yield* build(directory)
      assert.strictEqual(code, 1)
      assert.include(err, "version.patch does not fit")
      assert.include(err, yield* runHere(directory))
      assert.strictEqual(yield* fs.readFileString(source), `#define MDB_VERSION_DATE "2026"\n`)
    })
  )

  it.effect("builds it where npm was told not to run install scripts: that is why somebody has to run it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      for (const setting of ["ignore-scripts=true", "strict-allow-scripts=true"]) {
        const directory = yield* project(building)
        yield* fs.writeFileString(`${directory}/.npmrc`, `${setting}\n`)
        const { code, err, out } = yield* build(directory)
        assert.strictEqual(code, 0, `${setting}: ${out}${err}`)
      }
      const { code, err, out } = yield* build(yield* project(building), { env: { npm_config_ignore_scripts: "true" } })
      assert.strictEqual(code, 0, out + err)
    })
  )

  it.effect(
    "prints what the compiler said, what is needed and what to run when the build fails, or is not the right one",
    () =>
      Effect.gen(function* () {
        for (const install of [
          "console.log('says the compiler'); process.exit(1)",
          "console.log('says the compiler')"
        ]) {
          const directory = yield* project(install)
          const { code, err } = yield* build(directory)
          assert.strictEqual(code, 1)
          assert.include(err, "says the compiler")
          assert.include(err, "apt-get install g++ make python3")
          assert.include(err, yield* runHere(directory))
        }
      })
  )

  it.effect("names in one sentence what is missing of compilers, make and Python, before it begins", () =>
    Effect.gen(function* () {
      const directory = yield* project(building)
      for (const args of [[], ["--preinstall"]]) {
        const { code, err, out } = yield* build(directory, {
          args,
          env: { CXX: "/nowhere/g++", MAKE: "/nowhere/make" }
        })
        assert.deepStrictEqual([code, out], [1, ""])
        assert.isTrue(
          err.startsWith(
            "lightningstream: the package lmdb cannot be built: " +
              "missing C++ compiler (/nowhere/g++), make (/nowhere/make). Install"
          ),
          err
        )
        assert.lengthOf(err.split("\n"), 2)
        assert.include(err, "apt-get install g++ make python3")
        assert.include(err, yield* runHere(directory))
      }
      const python = yield* build(directory, { env: { PYTHON: "/nowhere/python" } })
      assert.include(python.err, "missing Python 3 (/nowhere/python). Install")
      assert.deepStrictEqual(yield* build(directory, { args: ["--preinstall"] }), { code: 0, out: "", err: "" })
    })
  )

  it.effect("needs none of them when the right build is there", () =>
    Effect.gen(function* () {
      const directory = yield* project(building)
      assert.strictEqual((yield* build(directory)).code, 0)
      for (const args of [[], ["--preinstall"]]) {
        const env = { PATH: "/nowhere" }
        assert.deepStrictEqual(yield* build(directory, { args, env }), { code: 0, out: "", err: "" })
      }
    })
  )

  it.effect("uses the addon that the package brings, before any install script and after, and needs no compiler", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      for (const args of [["--preinstall"], []]) {
        const directory = yield* project(building)
        yield* bring(directory, { "lmdb.node": compiled })
        const result = yield* build(directory, { args, env: { PATH: "/nowhere" } })
        assert.deepStrictEqual(result, { code: 0, out: "", err: "" })
        assert.strictEqual(yield* fs.readFileString(`${directory}/node_modules/lmdb/build/Release/lmdb.node`), compiled)
      }
    })
  )

  for (const [reason, content, damage] of [
    [
      "is not what SHA256SUMS says",
      compiled,
      (fs: FileSystem.FileSystem, file: string) => fs.writeFileString(file, `${compiled} `)
    ],
    [`the package has none for ${addons}`, compiled, (fs: FileSystem.FileSystem, file: string) => fs.remove(file)],
    [`that for ${addons} does not load here`, "of another C library", () => Effect.void]
  ] as const) {
    it.effect(`compiles where the addon cannot be used, and says why: ${reason}`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* project(building)
        const path = yield* bring(directory, { "lmdb.node": content })
        yield* damage(fs, `${path}/lmdb.node`)
        const { code, err, out } = yield* build(directory)
        assert.deepStrictEqual([code, err], [0, ""], out)
        assert.match(out, /^lightningstream: building lmdb [^\n]*\. The compiled one is not used: [^\n]*\n$/)
        assert.isTrue(out.endsWith(`${reason}\n`), out)
        assert.isFalse(yield* fs.exists(`${directory}/node_modules/lmdb/build/Release/lmdb.node`))
      })
    )
  }

  it.effect("removes a damaged addon of zstd, and says so", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* project(building)
      const path = yield* bring(directory, { "lmdb.node": compiled, "zstd.node": "zstd" })
      assert.deepStrictEqual(yield* build(directory), { code: 0, out: "", err: "" })
      assert.isTrue(yield* fs.exists(`${path}/zstd.node`))
      yield* fs.writeFileString(`${path}/zstd.node`, "zstd, damaged")
      const { code, out } = yield* build(directory)
      assert.strictEqual(code, 0)
      assert.match(out, /^lightningstream: the compiled zstd is not used: .*zstd\.node is not what SHA256SUMS says\n$/)
      assert.isFalse(yield* fs.exists(`${path}/zstd.node`))
    })
  )

  it.effect("is part of what is published, with all that it reads", () =>
    Effect.gen(function* () {
      const { code, err, out } = yield* execute(["npm", "pack", "--dry-run", "--json", "--ignore-scripts"], {
        cwd: pathOf("../../..")
      })
      assert.strictEqual(code, 0, err)
      const names = JSON.stringify(JSON.parse(out))
      const fs = yield* FileSystem.FileSystem
      for (const directory of ["patches", "scripts/lmdb"]) {
        for (const name of yield* fs.readDirectory(pathOf(`../../../${directory}`))) {
          assert.include(names, `"${directory}/${name}"`)
        }
      }
      assert.include(names, '"scripts/build-lmdb.mjs"')
    })
  )
})
