/** `verify` as a process, beside the application. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Application from "../support/Application.ts"
import { bundle, runBundled, workspace } from "../support/Command.ts"
import { folderBucket, nativeFile } from "../support/Daemon.ts"
import { type Lines, object } from "../support/fixtures/Snapshots.ts"

const older = "main__a__20250101-000000-000000000__GX.pb.gz"
const newer = "main__b__20250101-000100-000000000__GX.pb.gz"

/** Two snapshots, and an LMDB with the entry `k`. */
const side = Effect.fnUntraced(function* (a: Lines, b: Lines) {
  yield* bundle
  const fs = yield* FileSystem.FileSystem
  const { directory } = yield* workspace((directory) => ({
    lmdbs: { main: nativeFile(`${directory}/main.lmdb`) },
    storage: folderBucket(`${directory}/bucket`)
  }))
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFile(`${directory}/bucket/${older}`, object(a))
  yield* fs.writeFile(`${directory}/bucket/${newer}`, object(b))
  const application = yield* Application.open(`${directory}/main.lmdb`)
  yield* application.put("k", "v", 5n)
  return {
    directory,
    verify: (...args: ReadonlyArray<string>) => runBundled(["verify", ...args], { cwd: directory })
  }
})

const entry: Lines = { records: [["k", 5, "v"]] }

layer(NodeServices.layer, { excludeTestServices: true })("verify", (it) => {
  it.effect("says that all have what they should have, ends with 0, and leaves no file behind", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, verify } = yield* side(entry, entry)
      const before = yield* fs.readFile(`${directory}/main.lmdb`)
      const { code, err, out } = yield* verify()
      assert.deepStrictEqual({ code, err }, { code: 0, err: "" })
      assert.match(
        out,
        /^\n### main\n\na {14}20250101-000000-000000000 {2}main__a__.*\nb .*\nthe LMDB here {2}now .*main\.lmdb\n/
      )
      assert.match(out, /\nrecords\n {4}a {14}1 entries, 0 of them tombstones, digest [0-9a-f]{16}\n/)
      assert.match(out, /\nb has all of a\nthe LMDB here has all of a\na against b: not comparable yet/)
      assert.deepStrictEqual(yield* fs.readFile(`${directory}/main.lmdb`), before)
      assert.deepStrictEqual((yield* fs.readDirectory(`${directory}/bucket`)).toSorted(), [older, newer])
    })
  )

  it.effect("says what is missing and outdated, as text and as JSON, and ends with 1", () =>
    Effect.gen(function* () {
      const { verify } = yield* side(
        {
          records: [
            ["gone", 5, "x"],
            ["k", 6, "w"]
          ]
        },
        entry
      )
      const text = yield* verify()
      assert.strictEqual(text.code, 1)
      assert.include(
        text.out,
        "b DIFFERS from a\n    records: 1 missing, 1 outdated, first\n        missing: gone [67 6f 6e 65]\n        outdated: k [6b]\n"
      )
      const json = yield* verify("--json", "--grace=60s")
      assert.strictEqual(json.code, 1)
      const lines: ReadonlyArray<Record<string, unknown>> = json.out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
      assert.deepInclude(lines, {
        database: "main",
        from: "a",
        to: "b",
        result: "differs",
        differences: [
          {
            dbi: "records",
            missing: 1,
            outdated: 1,
            examples: [
              { key: Application.hex("gone"), kind: "missing" },
              { key: "6b", kind: "outdated" }
            ]
          }
        ]
      })
      assert.deepStrictEqual(lines.at(-1), { database: "main", result: "bad" })
      const wide = yield* verify("--json", "--grace=2m")
      assert.deepInclude(JSON.parse(wide.out.split("\n").find((line) => line.includes('"to":"b"'))!), {
        result: "not comparable yet"
      })
      assert.strictEqual((yield* verify("--grace", "soon")).code, 2)
    })
  )
})
