/**
 * The addons that npm packs: with the cross compiler those of both processors, without it a sentence that says what is
 * missing, which is an error for a release. The compiler is a stand-in; test/packaging/arm64.test.ts runs the real one.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execute } from "../support/Command.ts"
import { pathOf } from "../support/servers/RealServers.ts"

const ours = (name: string) => pathOf(`../../../${name}`)

/** A clone with its packages, on a machine that has these programs, and others as scripts with these lines. */
const clone = Effect.fnUntraced(function* (scripts: Readonly<Record<string, string>> = {}) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "prebuild-" })
  for (const name of ["scripts", "node_modules", "bin"]) yield* fs.makeDirectory(`${directory}/${name}`)
  for (const name of ["package.json", "package-lock.json", "scripts/prebuild.mjs", "scripts/lmdb"])
    yield* fs.copy(ours(name), `${directory}/${name}`)
  for (const file of ["lmdb/build/Release/lmdb.node", "zstd-napi/build/Release/binding.node"]) {
    const [name] = file.split("/")
    yield* fs.makeDirectory(`${directory}/node_modules/${name}/build/Release`, { recursive: true })
    yield* fs.copyFile(ours(`node_modules/${file}`), `${directory}/node_modules/${file}`)
    yield* fs.writeFileString(`${directory}/node_modules/${name}/source.c`, "first")
  }
  yield* fs.symlink(process.execPath, `${directory}/bin/node`)
  for (const name of ["npm", "sh", "strip"].filter((program) => !(program in scripts))) {
    const { out } = yield* execute(["sh", "-c", `readlink -f "$(command -v ${name})"`])
    yield* fs.symlink(out.trim(), `${directory}/bin/${name}`)
  }
  for (const [name, line] of Object.entries(scripts))
    yield* fs.writeFileString(`${directory}/bin/${name}`, `#!/bin/sh\n${line}\n`, { mode: 0o755 })
  const run = (...line: ReadonlyArray<string>) =>
    execute(line, { cwd: directory, env: { PATH: `${directory}/bin`, HOME: directory } })
  const packed = Effect.map(
    Effect.orElseSucceed(fs.readDirectory(`${directory}/prebuilds`, { recursive: true }), () => []),
    (names) => names.filter((name) => name.endsWith(".node")).toSorted()
  )
  return { directory, run, packed, prebuild: run(`${directory}/bin/node`, "scripts/prebuild.mjs") }
})

/** A cross compiler, and an npm that compiles with it what is a copy of the source, and writes down how it is called. */
const crossCompiler = {
  "aarch64-linux-gnu-g++": "echo g++ 1",
  "aarch64-linux-gnu-strip": "exit 0",
  npm: [
    'echo "$CXX $*" >> "$HOME/called"',
    "PATH=/usr/bin:/bin; mkdir -p build/Release",
    "cp source.c build/Release/lmdb.node; cp source.c build/Release/binding.node"
  ].join("\n")
}

const lacks = "linux-arm64: install the Debian package g++-aarch64-linux-gnu"
const own = ["linux-x64/lmdb.node", "linux-x64/zstd.node"]
const both = ["linux-arm64/lmdb.node", "linux-arm64/zstd.node", ...own]

layer(NodeServices.layer, { excludeTestServices: true })("the addons of the package", (it) => {
  it.effect("without a cross compiler are those of this machine, and one sentence says what is missing", () =>
    Effect.gen(function* () {
      const { packed, prebuild } = yield* clone()
      const { code, err, out } = yield* prebuild
      assert.deepStrictEqual([code, err], [0, ""])
      const lines = out.trim().split("\n")
      assert.deepStrictEqual(lines, [
        ...own.map((name) => `prebuild: ${name}`),
        `prebuild: this package has no addons for ${lacks}, and pack it again`
      ])
      assert.deepStrictEqual(yield* packed, own)
    })
  )

  for (const line of [
    ["npm", "run", "release"],
    ["npm", "publish", "--dry-run"]
  ]) {
    it.effect(`are all there in a release, or it is refused: ${line.join(" ")}`, () =>
      Effect.gen(function* () {
        const { packed, run } = yield* clone()
        const { code, err } = yield* run(...line)
        assert.strictEqual(code, 1, err)
        assert.include(err, `prebuild: a release needs the addons for ${lacks}\n`)
        assert.deepStrictEqual(yield* packed, [])
      })
    )
  }

  it.effect("are those of both processors with a cross compiler, which compiles each source once", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, packed, prebuild, run } = yield* clone(crossCompiler)
      const called = Effect.map(fs.readFileString(`${directory}/called`), (text) => text.trim().split("\n"))
      for (const attempt of [1, 2]) {
        const { code, err, out } = yield* prebuild
        assert.strictEqual(code, 0, out + err)
        assert.notInclude(out, "no addons")
        assert.deepStrictEqual(yield* packed, both)
        assert.lengthOf(yield* called, 2, `attempt ${attempt}`)
      }
      for (const line of yield* called)
        assert.match(line, /^aarch64-linux-gnu-g\+\+ .* rebuild --arch=arm64 --nodedir=/)
      const sums = yield* execute(["sha256sum", "--strict", "--check", "SHA256SUMS"], { cwd: `${directory}/prebuilds` })
      assert.strictEqual(sums.code, 0, sums.err)
      assert.lengthOf(sums.out.trim().split("\n"), both.length)

      yield* fs.writeFileString(`${directory}/node_modules/lmdb/source.c`, "second")
      assert.strictEqual((yield* run(`${directory}/bin/node`, "scripts/prebuild.mjs", "--release")).code, 0)
      assert.lengthOf(yield* called, 3)
      assert.strictEqual(yield* fs.readFileString(`${directory}/prebuilds/linux-arm64/lmdb.node`), "second")
      assert.strictEqual(yield* fs.readFileString(`${directory}/prebuilds/linux-arm64/zstd.node`), "first")
    })
  )

  it.effect("are not packed when the compiler fails, whose output is printed then", () =>
    Effect.gen(function* () {
      const { packed, prebuild } = yield* clone({ ...crossCompiler, npm: "echo says the compiler >&2; exit 3" })
      const { code, err } = yield* prebuild
      assert.deepStrictEqual([code, err], [1, "prebuild: says the compiler\nnpm failed: it ended with 3\n"])
      assert.deepStrictEqual(yield* packed, [])
    })
  )
})
