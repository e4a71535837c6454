/** What the command waits for, and what bounds that: `--timeout`, `--only-once`, `--wait-for-marker-file`. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { object } from "../support/fixtures/Snapshots.ts"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { run, workspace } from "../support/Command.ts"

const snapshot = "main__other__20250101-000000-000000000__GX.pb.gz"

const usual = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { file, directory } = yield* workspace((directory) => ({
    ...Daemon.quick,
    instance: "ours",
    lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`, { create: true }) },
    storage: Daemon.folderBucket(`${directory}/bucket`)
  }))
  yield* fs.makeDirectory(`${directory}/bucket`)
  return { file, directory, config: yield* fs.readFileString(file) }
})

/** Another instance's snapshot, whole at once. */
const deliver = Effect.fnUntraced(function* (directory: string, name = snapshot) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFile(`${directory}/bucket/.part`, object({ records: [["theirs", 5, "v"]] }))
  yield* fs.rename(`${directory}/bucket/.part`, `${directory}/bucket/${name}`)
})

layer(NodeServices.layer, { excludeTestServices: true })("waiting", (it) => {
  it.effect("--only-once ends by itself with 0, and --timeout does not change that when there is time enough", () =>
    Effect.gen(function* () {
      const { file, directory } = yield* usual
      yield* deliver(directory)
      for (const args of [["sync"], ["receive", "--timeout", "40s"]]) {
        const { code, err } = yield* run([...args, "--only-once", "-c", file])
        assert.strictEqual(code, 0, err)
        assert.include(err, "Loaded remote update")
      }
    })
  )

  it.effect("--timeout bounds the wait of --only-once for a snapshot that cannot be had: 75", () =>
    Effect.gen(function* () {
      const { config } = yield* usual
      const nobody = { endpoint_url: "http://127.0.0.1:1", access_key: "a", secret_key: "s", bucket: "b" }
      const daemon = yield* Daemon.start({
        args: ["sync", "--only-once", "--timeout=2s"],
        config: { ...JSON.parse(config), storage: { type: "s3", options: nobody } }
      })
      assert.strictEqual(yield* daemon.ended, 75, daemon.text())
      yield* daemon.logged("Timeout: not done within 2s (--timeout)", ({ level }) => level === "error")
    })
  )

  it.effect(
    "--timeout while another process holds LMDB's lock: the command ends all the same, and leaves nothing behind",
    () =>
      Effect.gen(function* () {
        const { config, directory } = yield* usual
        const application = yield* Application.open(`${directory}/main.lmdb`)
        yield* application.put("ours", "1", 1n)
        yield* application.send({ do: "hold" })
        yield* deliver(directory)
        const daemon = yield* Daemon.start({ args: ["sync", "--only-once", "--timeout", "2s"], config })
        yield* daemon.logged("Timeout")
        assert.strictEqual(yield* daemon.ended, 137, "it cannot be interrupted while it waits for the lock")
        yield* application.send({ do: "letGo" })
        assert.deepStrictEqual(yield* application.records, { ours: "1" })
      })
  )

  it.effect("--wait-for-marker-file: nothing is opened before that object is there, whatever is in it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { config, directory } = yield* usual
      yield* deliver(directory)
      // Its name alone is not enough.
      yield* fs.writeFileString(`${directory}/bucket/go-ahead-not`, "")
      const daemon = yield* Daemon.start({ args: ["sync", "--wait-for-marker-file=go-ahead", "--only-once"], config })
      yield* daemon.logged("Waiting for the marker file", (line) => line["name"] === "go-ahead")
      // A daemon that goes on makes its LMDB in a second or so.
      yield* Effect.sleep("4 seconds")
      assert.isFalse(yield* fs.exists(`${directory}/main.lmdb`))
      yield* fs.writeFileString(`${directory}/bucket/go-ahead`, "anything")
      assert.strictEqual(yield* daemon.ended, 0, daemon.text())
      yield* daemon.logged("Loaded remote update")
    })
  )

  it.effect("--wait-for-marker-file: ended by a signal with 0, by --timeout with 75", () =>
    Effect.gen(function* () {
      const { config, directory } = yield* usual
      const args = ["receive", "--wait-for-marker-file", "never"]
      const daemon = yield* Daemon.start({ args, config })
      yield* daemon.logged("Waiting for the marker file")
      yield* daemon.signal("SIGINT")
      assert.strictEqual(yield* daemon.ended, 0, daemon.text())
      const bounded = yield* Daemon.start({ args: [...args, "--timeout", "1s"], config })
      assert.strictEqual(yield* bounded.ended, 75, bounded.text())
      const fs = yield* FileSystem.FileSystem
      assert.deepStrictEqual(yield* fs.readDirectory(`${directory}/bucket`), [])
    })
  )
})
