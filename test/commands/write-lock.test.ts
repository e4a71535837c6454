/** Ctrl-C and `--timeout` while the application holds the write lock, which opening an LMDB waits for. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import { object } from "../support/fixtures/Snapshots.ts"

const snapshot = "main__b__20250101-000000-000000000__GX.pb.gz"

const commands: ReadonlyArray<ReadonlyArray<string>> = [
  ["dump"],
  ["stats"],
  ["verify"],
  ["doctor"],
  ["sync", "--dry-run"],
  ["receive", "--dry-run"],
  ["drop-shadow"],
  ["experimental", "migrate-timestamps", "-d", "main", "--src-dbi", "one", "--dst-dbi", "other"],
  ["experimental", "pdns-v5-fix-duplicate-domains", "-d", "main"]
]

/** An LMDB whose write lock the application holds for as long as the scope is open. */
const held = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "write-lock-" })
  const path = `${directory}/main.lmdb`
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.makeDirectory(`${directory}/spool`)
  yield* fs.writeFile(`${directory}/bucket/${snapshot}`, object({ records: [["k", 5, "v"]] }))
  const application = yield* Application.open(path)
  yield* application.put("k", "v", 5n)
  yield* application.send({ do: "hold" })
  const config = {
    ...Daemon.quick,
    instance: "a",
    spool_directory: `${directory}/spool`,
    lmdbs: { main: Daemon.nativeFile(path) },
    storage: Daemon.folderBucket(`${directory}/bucket`)
  }
  const files = Effect.map(fs.readDirectory(directory, { recursive: true }), (names) => names.toSorted())
  /** Returns when the command has opened the lock file, and so is about to wait. */
  const start = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
    const command = yield* Daemon.start({ config, args })
    yield* eventually(
      `${args.join(" ")} opens the LMDB`,
      Effect.map(fs.readFileString(`/proc/${command.pid}/maps`), (maps) => maps.includes(`${path}-lock`) || undefined),
      command.text
    )
    return command
  })
  return { files, start }
})

layer(NodeServices.layer, { excludeTestServices: true })("while the application holds the write lock", (it) => {
  for (const args of commands) {
    it.effect(`Ctrl-C ends ${args.join(" ")} in order with 130`, () =>
      Effect.gen(function* () {
        const { files, start } = yield* held
        const before = yield* files
        const command = yield* start(...args)
        yield* command.signal("SIGINT")
        // 137 would be the kill of a command that does not end within 10 s.
        assert.strictEqual(yield* command.ended, 130, command.text())
        assert.deepStrictEqual(yield* files, before)
      })
    )
  }

  it.effect("--timeout ends verify with 75", () =>
    Effect.gen(function* () {
      const { files, start } = yield* held
      const before = yield* files
      const command = yield* start("verify", "--timeout", "3s")
      assert.strictEqual(yield* command.ended, 75, command.text())
      assert.match(command.text(), /Timeout: not done within 3s/)
      assert.deepStrictEqual(yield* files, before)
    })
  )
})
