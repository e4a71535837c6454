/** What the commands that never create an LMDB say about a file that does not exist, with and without `create`. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { bundle, runBundled, workspace } from "../support/Command.ts"
import { folderBucket, nativeFile } from "../support/Daemon.ts"
import { object } from "../support/fixtures/Snapshots.ts"

const advice = "there is no such file: start the application that creates it, or set options.create: true"
const alreadySet =
  "there is no such file yet: sync and receive create it (options.create: true), but this command does not"

/** A configuration whose LMDB does not exist, and a snapshot of it in the bucket. */
const side = Effect.fnUntraced(function* (options: object) {
  yield* bundle
  const fs = yield* FileSystem.FileSystem
  const { directory } = yield* workspace((directory) => ({
    instance: "a",
    lmdbs: { main: nativeFile(`${directory}/main.lmdb`, options) },
    storage: folderBucket(`${directory}/bucket`)
  }))
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFile(
    `${directory}/bucket/main__b__20250101-000000-000000000__GX.pb.gz`,
    object({ records: [["k", 5, "v"]] })
  )
  const run = (...args: ReadonlyArray<string>) => runBundled(args, { cwd: directory })
  return { run, exists: fs.exists(`${directory}/main.lmdb`) }
})

const commands = [
  ["stats"],
  ["dump"],
  ["drop-shadow"],
  ["verify"],
  ["experimental", "migrate-timestamps", "-d", "main", "--src-dbi", "a", "--dst-dbi", "b"],
  ["experimental", "pdns-v5-fix-duplicate-domains", "-d", "main"]
]

layer(NodeServices.layer, { excludeTestServices: true })("a missing LMDB", (it) => {
  for (const [options, expected, other] of [
    [{}, advice, alreadySet],
    [{ create: true }, alreadySet, advice]
  ] as const) {
    it.effect(`with ${JSON.stringify(options)}: the advice fits the configuration, and nothing is created`, () =>
      Effect.gen(function* () {
        const { exists, run } = yield* side(options)
        for (const args of commands) {
          const { code, err, out } = yield* run(...args)
          assert.strictEqual(code, 1, args.join(" "))
          assert.include(err + out, expected, args.join(" "))
          assert.notInclude(err + out, other, args.join(" "))
        }
        assert.isFalse(yield* exists)
      })
    )
  }

  it.effect("is good in a dry run if the daemon would create it, and a problem otherwise", () =>
    Effect.gen(function* () {
      const made = yield* side({ create: true })
      const good = yield* made.run("sync", "--dry-run", "--accept-stale")
      assert.deepStrictEqual([good.code, good.err], [0, ""], good.out)
      assert.match(
        good.out,
        /\n\nthe file does not exist yet, and would be created\nmerge\n {4}from b .*: 1 in records\n/
      )
      assert.include(good.out, "nothing: the LMDB has no data, and merged data alone is not sent")
      assert.isFalse(yield* made.exists)
      const waiting = yield* (yield* side({})).run("sync", "--dry-run", "--accept-stale")
      assert.strictEqual(waiting.code, 1)
      assert.include(waiting.out, `NOT READABLE: `)
      assert.include(waiting.out, advice)
    })
  )
})
