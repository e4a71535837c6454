/**
 * The data file is written to by somebody who does not have the daemon's lock, or is overwritten under it: the daemon
 * ends with 1 and says why, and nothing of the application's is lost.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { object } from "../support/fixtures/Snapshots.ts"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import { mountedFile, onMountedFile } from "../support/Confinement.ts"

/** Directories `real` with the application's file, `other`, and the bucket. */
const layout = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const top = yield* fs.makeTempDirectoryScoped({ prefix: "one-lock-" })
  for (const name of ["real", "other", "bucket"]) yield* fs.makeDirectory(`${top}/${name}`)
  return { top, real: `${top}/real/db`, other: `${top}/other/db`, bucket: `${top}/bucket` }
})

const configOf = (path: string, bucket: string, settings: object = {}) => ({
  ...Daemon.quick,
  instance: "ours",
  lmdbs: { main: Daemon.nativeFile(path) },
  storage: Daemon.folderBucket(bucket),
  ...settings
})

const shadow = (path: string) => ({
  lmdbs: { main: { path, schema_tracks_changes: false, options: { no_subdir: true } } }
})

/** Puts a snapshot of another instance there, whole. */
const deliver = Effect.fnUntraced(function* (bucket: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFile(`${bucket}/.part`, object({ records: [["theirs", 5, "v"]] }))
  yield* fs.rename(`${bucket}/.part`, `${bucket}/main__other__20250101-000000-000000000__GX.pb.gz`)
})

/**
 * A file with one record, and nobody who has it open; without its lock file, which tells by which path it was opened.
 */
const makeFile = Effect.fnUntraced(function* (path: string) {
  const application = yield* Application.open(path)
  yield* application.put("first", "1", 1n)
  yield* application.kill
  yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.remove(`${path}-lock`))
}, Effect.scoped)

/** A daemon at `other`, a link to a file that nobody has open, once its first sync is complete. */
const daemonBehindLink = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const places = yield* layout
  yield* makeFile(places.real)
  yield* fs.symlink(places.real, places.other)
  const daemon = yield* Daemon.start({ args: ["sync"], config: configOf(places.other, places.bucket) })
  yield* daemon.logged("Initial sync complete")
  return { ...places, daemon }
})

const assertEnded = Effect.fnUntraced(function* (daemon: Daemon.Daemon, ...words: ReadonlyArray<string>) {
  assert.strictEqual(yield* daemon.ended, 1, daemon.text())
  const { error } = yield* daemon.logged("Fatal error")
  for (const word of words) assert.include(error!, word)
})

const records = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "1"]))

layer(NodeServices.layer, { excludeTestServices: true })("two locks", (it) => {
  it.effect("by a symbolic link beside the application: refused, with both lock files and what to do", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { bucket, other, real } = yield* layout
      const application = yield* Application.open(real)
      yield* application.put("first", "1", 1n)
      yield* fs.symlink(real, other)
      const daemon = yield* Daemon.start({ args: ["sync"], config: configOf(other, bucket) })
      yield* assertEnded(
        daemon,
        `${other} is a symbolic link to ${real}`,
        `${other}-lock`,
        `${real}-lock`,
        "set path and options.no_subdir"
      )
      assert.deepStrictEqual(yield* fs.readDirectory(bucket), [])
    })
  )

  it.effect("by a hard link: refused", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { bucket, other, real } = yield* layout
      const application = yield* Application.open(real)
      yield* application.put("first", "1", 1n)
      yield* fs.link(real, other)
      yield* assertEnded(yield* Daemon.start({ args: ["sync"], config: configOf(other, bucket) }), "hard links")
    })
  )

  it.effect(
    "by a linked directory there is only one: what the application writes is sent, and what is received is there",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { bucket, real, top } = yield* layout
        const application = yield* Application.open(real)
        yield* application.put("first", "1", 1n)
        yield* fs.symlink(`${top}/real`, `${top}/link`)
        const daemon = yield* Daemon.start({ args: ["sync"], config: configOf(`${top}/link/db`, bucket) })
        yield* daemon.logged("Initial sync complete")
        yield* deliver(bucket)
        yield* daemon.logged("Loaded remote update")
        yield* application.put("second", "2", 2n)
        yield* daemon.logged("Stored snapshot", ({ entries }) => entries === 3)
        yield* daemon.signal("SIGTERM")
        assert.strictEqual(yield* daemon.ended, 0)
        assert.deepStrictEqual(
          daemon.log.filter(({ level }) => level !== "info"),
          []
        )
      })
  )

  it.effect(
    "when the application comes later by another path: ended with both lock files, and no commit of the application is lost",
    () =>
      Effect.gen(function* () {
        const { bucket, daemon, other, real } = yield* daemonBehindLink
        yield* daemon.logged("it is a symbolic link to", ({ level }) => level === "warning")
        const application = yield* Application.open(real)
        // While snapshots are to be merged, too.
        yield* deliver(bucket)
        for (let i = 0; i < 20; i++) yield* application.put(`k${i}`, "1", 2n)
        yield* assertEnded(daemon, "without holding the same lock", `${other}-lock`, `${real}-lock`)
        assert.deepInclude(yield* application.records, { first: "1", ...records(20) })
      })
  )

  it.effect(
    "when a single commit was made under the other one and the daemon is told to end: it is unsent, and the exit code is not 0",
    () =>
      Effect.gen(function* () {
        const { daemon, real } = yield* daemonBehindLink
        // Its DBI is there: only the put is a commit.
        const application = yield* Application.open(real)
        yield* application.put("second", "1", 2n)
        yield* daemon.signal("SIGTERM")
        assert.strictEqual(yield* daemon.ended, 1, daemon.text())
        const { error } = yield* daemon.logged("The last send failed")
        assert.include(error!, "without holding the same lock")
      })
  )

  it.effect("since the lock file was removed: ended, and refused again until the application is started again", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { bucket, real } = yield* layout
      const config = configOf(real, bucket)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const application = yield* Application.open(real)
          yield* application.put("first", "1", 1n)
          const daemon = yield* Daemon.start({ args: ["sync"], config })
          yield* daemon.logged("Initial sync complete")
          yield* fs.remove(`${real}-lock`)
          yield* assertEnded(daemon, `the lock file ${real}-lock was removed or replaced`)
          yield* deliver(bucket)
          yield* assertEnded(
            yield* Daemon.start({ args: ["sync"], config }),
            "without holding the same lock",
            `${real}-lock (deleted)`
          )
          assert.deepStrictEqual(yield* application.records, { first: "1" })
          yield* application.kill
        })
      )
      const daemon = yield* Daemon.start({ args: ["sync"], config })
      yield* daemon.logged("Loaded remote update")
    })
  )
})

layer(NodeServices.layer, { excludeTestServices: true })("a backup that is restored under the daemon", (it) => {
  for (const [mode, settings] of [
    ["native", () => ({})],
    ["shadow", shadow]
  ] as const) {
    it.effect(
      `in place ends it with 1 before it reads or writes the file (${mode} mode); when all were ended it is synced`,
      () =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const { bucket, real } = yield* layout
          const config = configOf(real, bucket, settings(real))
          yield* Effect.scoped(
            Effect.gen(function* () {
              // The pin of shadow mode keeps the pages of a poll interval from being used again.
              const application = yield* Application.open(real, 16 * Application.megabyte)
              yield* application.put("first", "1", 1n)
              yield* fs.copyFile(real, `${real}.backup`)
              const daemon = yield* Daemon.start({ args: ["sync"], config })
              yield* daemon.logged("Initial sync complete")
              let last = 0n
              for (let i = 0; i < 200; i++) last = yield* application.put(`k${i}`, "v".repeat(500), 2n)
              yield* daemon.logged("Stored snapshot", ({ txnID }) => BigInt(String(txnID)) >= last)
              const backup = yield* fs.readFile(`${real}.backup`)
              // As cp does it: into the file that is there.
              yield* fs.writeFile(real, backup)
              yield* deliver(bucket)
              yield* assertEnded(daemon, "the data file was overwritten while it was open")
              assert.isTrue(Buffer.from(backup).equals(yield* fs.readFile(real)))
              yield* application.kill
            })
          )
          const daemon = yield* Daemon.start({ args: ["sync"], config })
          yield* daemon.logged("Initial sync complete")
          yield* daemon.signal("SIGTERM")
          assert.strictEqual(yield* daemon.ended, 0, daemon.text())
        })
    )
  }
})

describeWith("a mounted file", await mountedFile(), () => {
  layer(NodeServices.layer, { excludeTestServices: true })((it) => {
    it.effect("is refused: its directory is to be mounted", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { bucket, other, real } = yield* layout
        const application = yield* Application.open(real)
        yield* application.put("first", "1", 1n)
        yield* fs.writeFileString(other, "")
        const daemon = yield* Daemon.start({
          under: onMountedFile(real, other),
          args: ["sync"],
          config: configOf(other, bucket)
        })
        yield* assertEnded(daemon, `${other} is a file that is mounted by itself: mount its directory instead`)
      })
    )
  })
})
