/** `sync --dry-run` as a process, beside the application: data file and bucket stay as they are, byte for byte. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import { bundle, runBundled, workspace } from "../support/Command.ts"
import { folderBucket, nativeFile } from "../support/Daemon.ts"
import { object } from "../support/fixtures/Snapshots.ts"

const name = "main__b__20250101-000000-000000000__GX.pb.gz"

layer(NodeServices.layer, { excludeTestServices: true })("sync --dry-run", (it) => {
  it.effect("says what it would do, with the cleaner and the sweeper on, and does nothing", () =>
    Effect.gen(function* () {
      yield* bundle
      const fs = yield* FileSystem.FileSystem
      const { directory } = yield* workspace((directory) => ({
        instance: "a",
        lmdbs: {
          main: nativeFile(`${directory}/main.lmdb`),
          other: nativeFile(`${directory}/other.lmdb`)
        },
        storage: { ...folderBucket(`${directory}/bucket`), cleanup: { enabled: true } },
        sweeper: { enabled: true }
      }))
      yield* fs.makeDirectory(`${directory}/bucket`)
      yield* fs.writeFile(
        `${directory}/bucket/${name}`,
        object({
          records: [
            ["k", 6, "w"],
            ["l", 5, "x"]
          ]
        })
      )
      const application = yield* Application.open(`${directory}/main.lmdb`)
      yield* application.put("dead", "", 5n, true)
      yield* application.put("k", "v", 5n)
      const data = Effect.all([
        fs.readFile(`${directory}/main.lmdb`),
        fs.readFile(`${directory}/bucket/${name}`),
        fs.readDirectory(`${directory}/bucket`),
        Effect.map(fs.readDirectory(directory), (names) => names.toSorted())
      ])
      const before = yield* data
      const dry = (...args: ReadonlyArray<string>) => runBundled(args, { cwd: directory })
      const stale = yield* dry("sync", "--dry-run", "--only-db", "main")
      assert.deepStrictEqual([stale.code, stale.err], [1, ""])
      assert.match(stale.out, /NOT from b .*: it is older than sweeper\.retention_days/)
      assert.match(stale.out, /send\n {4}nothing: the LMDB is stale/)
      const accepted = yield* dry("sync", "--dry-run", "--accept-stale", "--only-db=main")
      assert.deepStrictEqual([accepted.code, accepted.err], [0, ""])
      assert.match(accepted.out, /^\n### main \(.*main\.lmdb\)\n\nmerge\n {4}from b .*: entries: 2 in records\n/)
      assert.match(accepted.out, /send\n {4}a snapshot of \d entries, the first of this instance\n/)
      assert.match(
        accepted.out,
        /delete from the bucket\n {4}after must_keep_interval: main__b__.* \(stale instance\)\n/
      )
      assert.match(accepted.out, /remove from the LMDB\n {4}1 tombstones that are older .*, of 2 entries\n$/)
      const receiving = yield* dry("receive", "--dry-run", "--accept-stale")
      assert.match(receiving.out, /send\n {4}nothing: receive never sends\n/)
      assert.match(receiving.out, /### other .*\n\nNOT READABLE: .*there is no such file/)
      assert.strictEqual(receiving.code, 1)
      for (const args of [
        ["--only-db", "none"],
        ["--wait-for-marker-file", "x"]
      ]) {
        const wrong = yield* dry("sync", "--dry-run", ...args)
        assert.deepStrictEqual([wrong.code, wrong.out], [2, ""], args.join(" "))
      }
      assert.deepStrictEqual(yield* data, before)
    })
  )
})
