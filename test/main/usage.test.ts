/** What the command says about itself and about its arguments: to which output, and with which code. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import { pathOf } from "../support/servers/RealServers.ts"
import { bundle, bundled, execute, ownCompileCache, piped, run } from "../support/Command.ts"

layer(NodeServices.layer, { excludeTestServices: true })("the command", (it) => {
  it.effect("prints versions and help to standard output with 0, without a configuration", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const cwd = yield* fs.makeTempDirectoryScoped({ prefix: "empty-" })
      const cases = [
        [["version"], new RegExp(`^${packageJson.version}\n$`)],
        [["--version"], new RegExp(`^lightningstream version ${packageJson.version}\n$`)],
        [[], /USAGE\n {2}lightningstream <subcommand>/],
        [["-h"], /USAGE\n {2}lightningstream <subcommand>/],
        [["help", "sync"], /USAGE\n {2}lightningstream sync/],
        [["snapshots", "dump", "--help"], /USAGE\n {2}lightningstream snapshots dump/],
        [["snapshots"], /USAGE\n {2}lightningstream snapshots/]
      ] as const
      for (const [args, expected] of cases) {
        const { code, err, out } = yield* run(args, { cwd })
        assert.strictEqual(code, 0, args.join(" "))
        assert.match(out, expected)
        assert.strictEqual(err, "")
      }
    })
  )

  it.effect("refuses what it does not know with 2, to standard error alone", () =>
    Effect.gen(function* () {
      const cases = [
        [["synk"], /^lightningstream: unknown command "synk".*\nSee: lightningstream --help\n$/],
        [["sync", "--only-onc"], /--only-onc/],
        [["sync", "--log-format", "xml"], /one of human, logfmt, json/],
        [["snapshots", "dump"], /Missing required argument: name/]
      ] as const
      for (const [args, expected] of cases) {
        const { code, err, out } = yield* run(args)
        assert.strictEqual(code, 2, args.join(" "))
        assert.match(err, expected)
        assert.strictEqual(out, "")
        assert.notMatch(err, /^\s+at /m)
      }
    })
  )

  it.effect("takes a reader that goes away as the end, and a full disk as an error", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* piped("| true", "--help"), { code: 0, out: "", err: "" })
      const full = yield* piped("> /dev/full", "--help")
      assert.strictEqual(full.code, 1)
      assert.match(full.err, /^lightningstream: standard output: ENOSPC.*\n$/)
    })
  )

  it.effect("says what to run where the native package lmdb is missing, or was built with another data format", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "installation-" })
      yield* bundle
      yield* fs.writeFileString(
        `${directory}/c.yaml`,
        JSON.stringify({
          lmdbs: { main: { path: `${directory}/db`, schema_tracks_changes: true, options: { create: true } } },
          storage: { type: "fs", options: { root_path: `${directory}/bucket` } }
        })
      )
      const cases = [
        [
          "() => { throw new Error('No native build was found') }",
          /installation is not complete: No native build was found/
        ],
        ["() => ({ version: { patch: 90, versionString: 'LMDB 0.9.90' } })", /was built as LMDB 0\.9\.90/]
      ] as const
      for (const [source, expected] of cases) {
        const hook = `import { registerHooks } from "node:module"
          const url = "file://${directory}/load.cjs"
          registerHooks({ resolve: (name, context, next) => name === "node-gyp-build-optional-packages" ? { url, format: "commonjs", shortCircuit: true } : next(name, context) })`
        yield* fs.writeFileString(`${directory}/load.cjs`, `module.exports = ${source}`)
        yield* fs.writeFileString(`${directory}/hook.mjs`, hook)
        for (const script of [pathOf("../../../src/main.ts"), bundled]) {
          const { code, err, out } = yield* execute([
            process.execPath,
            "--import",
            `${directory}/hook.mjs`,
            script,
            "sync",
            "-c",
            `${directory}/c.yaml`
          ])
          assert.strictEqual(code, 1, err)
          assert.match(err, expected)
          assert.include(err, `node ${pathOf("../../../scripts/build-lmdb.mjs")}`)
          assert.notMatch(err, /^\s+at /m)
          assert.strictEqual(out, "")
        }
      }
      assert.deepStrictEqual((yield* fs.readDirectory(directory)).toSorted(), ["c.yaml", "hook.mjs", "load.cjs"])
    })
  )

  it.effect("runs bundled as well, with the compile cache of Node, and loads little for what a script asks for", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "bundled-" })
      yield* bundle
      yield* fs.writeFileString(
        `${directory}/hook.mjs`,
        `import { appendFileSync } from "node:fs"
        import { registerHooks } from "node:module"
        import { fileURLToPath } from "node:url"
        registerHooks({ load: (url, context, next) => {
          if (url.startsWith("file:")) appendFileSync(process.env.LOADED, fileURLToPath(url) + "\\n")
          return next(url, context)
        } })`
      )
      // Bytes of code stand for the time that loading takes, which no busy machine changes. Measured: 318 kB of 1.9 MB.
      const cases = [
        [["version"], new RegExp(`^${packageJson.version}\n$`), 400_000],
        [["--help"], /USAGE\n {2}lightningstream <subcommand>/, 400_000],
        [["sync", "--help"], /USAGE\n {2}lightningstream sync/, 400_000]
      ] as const
      for (const [args, expected, most] of cases) {
        const LOADED = `${directory}/${args.join(" ")}`
        const hook = ["--import", `${directory}/hook.mjs`]
        const { code, err, out } = yield* execute([process.execPath, ...hook, bundled, ...args], {
          env: { LOADED, ...ownCompileCache(directory) }
        })
        assert.strictEqual(code, 0, err)
        assert.match(out, expected)
        const files = (yield* fs.readFileString(LOADED)).trim().split("\n")
        const sizes = yield* Effect.forEach(files, (file) => Effect.map(fs.stat(file), ({ size }) => Number(size)))
        assert.include(files, bundled)
        assert.isAtMost(
          sizes.reduce((sum, size) => sum + size),
          most,
          files.join("\n")
        )
      }
      assert.isNotEmpty(yield* fs.readDirectory(`${directory}/node-compile-cache`))
    })
  )
})
