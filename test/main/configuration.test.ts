/**
 * The configuration file as every command that needs one reads it: what wins over it, what is shown of it, what is
 * refused.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { folderBucket, nativeFile } from "../support/Daemon.ts"
import { run, workspace } from "../support/Command.ts"

/** A minimal file with an empty bucket. */
const usual = (extra: object = {}) =>
  workspace((directory) => ({
    instance: "of-the-file",
    lmdbs: { main: nativeFile(`${directory}/main.lmdb`, { create: true }) },
    storage: folderBucket(`${directory}/bucket`),
    ...extra
  })).pipe(
    Effect.tap(({ directory }) =>
      Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeDirectory(`${directory}/bucket`))
    )
  )

const linesOf = (text: string) => text.trimEnd().split("\n")

layer(NodeServices.layer, { excludeTestServices: true })("the configuration", (it) => {
  it.effect(
    "with mistakes is refused with 2: all of them at once, with key paths, on standard error, whatever the log's format",
    () =>
      Effect.gen(function* () {
        const { file, directory } = yield* workspace(
          () => "lmdb_poll_interval: 1\nlmdbs: { main: { pth: x } }\nstorage: { type: ftp }\nlog: { format: json }\n"
        )
        for (const args of [["sync"], ["receive"], ["snapshots", "list"], ["snapshots", "dump", "x"]]) {
          const { code, err, out } = yield* run([...args, "-c", file])
          assert.strictEqual(code, 2, args.join(" "))
          for (const part of [file, "lmdb_poll_interval: ", "lmdbs.main.pth: ", "lmdbs.main.path: ", "storage.type: "])
            assert.include(err, part)
          assert.match(err, /^lightningstream: /)
          assert.strictEqual(out, "")
        }
        const missing = yield* run(["sync"], { cwd: `${directory}` })
        assert.strictEqual(missing.code, 2, "lightningstream.yaml of the working directory")
        assert.include(missing.err, "lightningstream.yaml")
        const unreadable = yield* run(["sync", "-c", directory])
        assert.strictEqual(unreadable.code, 2)
        assert.match(unreadable.err, /^lightningstream: \S+ is not usable:\n {2}it cannot be read: /)
        const nowhere = yield* run(["snapshots", "list", "-c", `${directory}/nowhere`])
        assert.strictEqual(nowhere.code, 2)
        assert.strictEqual(
          nowhere.err,
          `lightningstream: ${directory}/nowhere is not usable:\n  there is no such file: name it with --config\n`
        )
      })
  )

  it.effect("lightningstream.yaml of the working directory is the default", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory } = yield* usual()
      yield* fs.writeFileString(`${directory}/bucket/an-object`, "x")
      assert.deepStrictEqual(yield* run(["snapshots", "list"], { cwd: directory }), {
        code: 0,
        out: "an-object\n",
        err: ""
      })
    })
  )

  it.effect("--log-config logs it as YAML with every default and no secret, and flags win over the file", () =>
    Effect.gen(function* () {
      const options = {
        bucket: "b",
        endpoint_url: "http://127.0.0.1:1",
        access_key: "ACCESS-1",
        secret_key: "SECRET-2"
      }
      const { file } = yield* usual({
        storage: { type: "s3", options },
        log: { level: "error", format: "logfmt", timestamp: "full" }
      })
      const { code, err, out } = yield* run([
        "sync",
        "-c",
        file,
        "--instance=of-the-line",
        "--log-config",
        "--log-level",
        "info",
        "--log-format",
        "json",
        "--log-timestamp",
        "disable",
        "--timeout",
        "1s"
      ])
      assert.strictEqual(code, 75, err)
      assert.strictEqual(out, "")
      const line = linesOf(err)
        .map((line) => JSON.parse(line))
        .find(({ msg }) => msg === "Effective configuration")
      assert.strictEqual(line.level, "info")
      assert.isUndefined(line.time)
      const yaml: string = line.config
      assert.match(yaml, /^instance: of-the-line$/m)
      assert.match(yaml, /^ {2}level: info$/m)
      assert.match(yaml, /^ {2}format: json$/m)
      assert.match(yaml, /^ {2}timestamp: disable$/m)
      assert.match(yaml, /^storage_force_snapshot_interval: 4h/m)
      assert.match(yaml, /endpoint_url: http:\/\/127\.0\.0\.1:1/)
      for (const secret of ["ACCESS-1", "SECRET-2"]) assert.notInclude(err, secret)
    })
  )

  it.effect("of the log counts where no flag says otherwise; --debug is the lowest level of all", () =>
    Effect.gen(function* () {
      const { file } = yield* usual({ log: { level: "error", format: "json" } })
      const once = ["sync", "--only-once", "-c", file]
      assert.deepStrictEqual(yield* run(once), { code: 0, out: "", err: "" })
      const info = yield* run([...once, "--log-level=info"])
      assert.isTrue(
        linesOf(info.err).every((line) => JSON.parse(line).level !== "debug") &&
          info.err.includes("Initial sync complete"),
        info.err
      )
      const logfmt = yield* run([...once, "--log-level=info", "--log-format=logfmt"])
      assert.match(logfmt.err, /^time="?20\S+ level=/)
    })
  )

  it.effect(
    "--only-db with a name that is not in it is 2, and nothing is opened; others are skipped with a warning",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { file, directory } = yield* workspace((directory) => ({
          lmdbs: {
            main: nativeFile(`${directory}/main.lmdb`, { create: true }),
            other: nativeFile(`${directory}/other.lmdb`, { create: true })
          },
          storage: folderBucket(`${directory}/bucket`)
        }))
        for (const command of ["sync", "receive"]) {
          const { code, err } = yield* run([command, "-c", file, "--only-db", "main", "--only-db=Main"])
          assert.strictEqual(code, 2, err)
          assert.include(err, "--only-db Main: there is no such database in lmdbs, only main, other")
        }
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["lightningstream.yaml"])
        const { code, err } = yield* run(["sync", "-c", file, "--only-once", "--only-db=other"])
        assert.strictEqual(code, 0, err)
        assert.match(err, /level=warning msg="Skipped a database that --only-db does not name" db=main/)
        const names = yield* fs.readDirectory(directory)
        assert.include(names, "other.lmdb")
        assert.notInclude(names, "main.lmdb")
      })
  )
})
