/** `.ci/run` on a machine that lacks programs: with stand-ins of apt-get and npm that write down how they are called. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execute } from "../support/Command.ts"
import { pathOf } from "../support/servers/RealServers.ts"

const script = pathOf("../../../.ci/run")

/** Its exit code, its errors, and what it called. The machine has these programs, and what a shell script needs. */
const run = Effect.fnUntraced(function* (programs: ReadonlyArray<string>, { aptGet = "true", user = "0" } = {}) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "ci-" })
  const log = `${directory}/log`
  const write = (name: string, text: string) =>
    fs.writeFileString(`${directory}/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  yield* write("apt-get", `echo "apt-get $*" >> ${log}; ${aptGet}`)
  yield* write("npm", `echo "npm $*" >> ${log}`)
  yield* write("id", `echo ${user}`)
  yield* Effect.forEach(programs, (name) => write(name, "exit 0"))
  yield* fs.symlink("/usr/bin/dirname", `${directory}/dirname`)
  const { code, err } = yield* execute(["/bin/bash", script], { env: { PATH: directory } })
  return { code, err, called: (yield* fs.readFileString(log)).trim().split("\n") }
})

const all = [
  "g++",
  "make",
  "python3",
  "git",
  "go",
  "flock",
  "chromium",
  "lintian",
  "systemd-analyze",
  "dpkg-deb",
  "qemu-aarch64",
  "aarch64-linux-gnu-g++"
]
const tests = ["npm ci", "npm test"]

layer(NodeServices.layer, { excludeTestServices: true })(".ci/run", (it) => {
  it.effect("installs nothing where every program is there", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(all), { code: 0, err: "", called: tests })
    })
  )

  it.effect("installs the packages of those that are missing, and runs the tests then", () =>
    Effect.gen(function* () {
      const { called, code } = yield* run(all.filter((name) => !["systemd-analyze", "lintian", "go"].includes(name)))
      assert.strictEqual(code, 0)
      assert.include(called[0]!, "update")
      assert.match(called[1]!, / install .* golang-go lintian systemd$/)
      assert.deepStrictEqual(called.slice(2), tests)
    })
  )

  it.effect("ends where they cannot be installed, and names them", () =>
    Effect.gen(function* () {
      const { called, code, err } = yield* run([], { aptGet: "echo no mirror >&2; false" })
      assert.strictEqual(code, 1)
      assert.match(
        err,
        /no mirror\n\.ci\/run: apt-get cannot install g\+\+ .* lintian systemd dpkg qemu-user g\+\+-aarch64-linux-gnu;/
      )
      assert.lengthOf(called, 1)
    })
  )

  it.effect("leaves it to the tests to fail where only root could install them", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* run([], { user: "1000" })).called, tests)
    })
  )
})
