/**
 * Tests what happens to tests whose server is not available: they are neither silently omitted nor fail by accident.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem } from "effect"
import { execute } from "../Command.ts"
import { find, pathOf } from "./RealServers.ts"

const none = { name: "none", npm: "no-such-package@0.0.0" }
const ofGo = { name: "none", go: "no.such/module@v0.0.0" }

const findWith = (env: Record<string, string>, wanted: Parameters<typeof find>[0] = none) =>
  Effect.provide(find(wanted), ConfigProvider.layer(ConfigProvider.fromEnv({ env })))

/** Runs a test file with one test as `npm test` does. */
const suite = `import { describeWith } from ${JSON.stringify(pathOf("./RealServers.ts"))}
import { it } from "vitest"
const missing = { _tag: "Missing", reason: "no mirror here", isFailure: process.env["CI"] === "true" }
describeWith("a suite with a server", missing, () => it("needs it", () => { throw new Error("it ran") }))
`

layer(NodeServices.layer, { excludeTestServices: true })("servers that are not to be had", (it) => {
  it.effect("are missing with the reason, also where there can be no cache; with CI=true that is a failure", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.makeTempFileScoped({ prefix: "cache-" })
      for (const CI of ["", "true"]) {
        const found = yield* findWith({ XDG_CACHE_HOME: `${file}/below`, CI })
        if (found._tag !== "Missing") return assert.fail(found._tag)
        assert.include(found.reason, file)
        assert.strictEqual(found.isFailure, CI === "true")
      }
    })
  )

  it.effect(
    "are missing, and the package is named, where they are made with Go and there is none: also a failure",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const file = yield* fs.makeTempFileScoped({ prefix: "cache-" })
        for (const CI of ["", "true"]) {
          const found = yield* findWith({ PATH: "/nonexistent", XDG_CACHE_HOME: `${file}/below`, CI }, ofGo)
          if (found._tag !== "Missing") return assert.fail(found._tag)
          assert.match(
            found.reason,
            /^there is no Go 1\.25 or later: install the package golang-go of that version \(.*\)$/
          )
          assert.include(found.reason, file)
          assert.strictEqual(found.isFailure, CI === "true")
        }
      })
  )

  for (const [machine, version] of [
    ["has none", undefined],
    ["has an older one", "go1.19.8"]
  ]) {
    it.effect(`are made with the Go of Debian's next release where the machine ${machine}`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "cache-" })
        const write = (name: string, line: string) =>
          fs.writeFileString(`${directory}/${name}`, `#!/bin/sh\n${line}\n`, { mode: 0o755 })
        for (const name of ["machine", "lightningstream-test/go/usr/bin"])
          yield* fs.makeDirectory(`${directory}/${name}`, { recursive: true })
        if (version !== undefined) yield* write("machine/go", `echo go version ${version} linux/amd64`)
        yield* fs.writeFileString(`${directory}/lightningstream-test/go/.complete`, "")
        yield* write("lightningstream-test/go/usr/bin/go", 'echo "$@" > "$GOBIN/called"')
        const found = yield* findWith({ PATH: `${directory}/machine`, XDG_CACHE_HOME: directory, CI: "true" }, ofGo)
        if (found._tag !== "Installed") return assert.fail(found.reason)
        assert.match(
          yield* fs.readFileString(`${found.directory}/bin/called`),
          /^install .* no\.such\/module@v0\.0\.0\n$/
        )
      })
    )
  }

  it.effect("are found in the cache, whatever its directory", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "cache-" })
      yield* fs.makeDirectory(`${directory}/lightningstream-test/none`, { recursive: true })
      yield* fs.writeFileString(`${directory}/lightningstream-test/none/.complete`, "")
      assert.deepStrictEqual(yield* findWith({ XDG_CACHE_HOME: directory }), {
        _tag: "Installed",
        directory: `${directory}/lightningstream-test/none`
      })
    })
  )

  it.effect("leave tests that are counted as skipped, with the reason; with CI=true as failed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "suite-" })
      yield* fs.writeFileString(`${directory}/one.test.ts`, suite)
      yield* fs.symlink(pathOf("../../../node_modules"), `${directory}/node_modules`)
      const vitest = [
        process.execPath,
        `${directory}/node_modules/vitest/vitest.mjs`,
        "run",
        "--root",
        directory,
        "--reporter=default"
      ]
      const skipped = yield* execute(vitest, { env: { CI: "", NO_COLOR: "1" } })
      assert.strictEqual(skipped.code, 0, skipped.out + skipped.err)
      assert.include(skipped.err, "skipped: a suite with a server: no mirror here")
      assert.match(skipped.out, /Tests +1 skipped/)
      const failed = yield* execute(vitest, { env: { CI: "true", NO_COLOR: "1" } })
      assert.strictEqual(failed.code, 1, failed.out + failed.err)
      assert.match(failed.out, /Tests +1 failed/)
      assert.include(failed.err, "no mirror here")
    })
  )
})
