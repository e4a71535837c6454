/** `snapshots list` and `snapshots dump`, with every spelling of flags that scripts of the reference's users have. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { read } from "../support/fixtures/Golden.ts"
import { many, object } from "../support/fixtures/Snapshots.ts"
import { folderBucket, nativeFile } from "../support/Daemon.ts"
import { piped, run, workspace } from "../support/Command.ts"

const older = "main__b__20250101-000000-000000000__GX.pb.gz"
const newer = "main__a__20250202-000000-000000000__GX.pb.gz"
const foreign = "readme.txt"

/** A bucket with two snapshots and something else. */
const bucket = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { file, directory } = yield* workspace((directory) => ({
    lmdbs: { main: nativeFile(`${directory}/main.lmdb`) },
    storage: folderBucket(`${directory}/bucket`)
  }))
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFile(`${directory}/bucket/${older}`, object({ users: [["k", 5, "v"]], other: [["k", 6, null]] }))
  yield* fs.writeFile(`${directory}/bucket/${newer}`, object({ users: many(5_000, 7, 200) }))
  yield* fs.writeFileString(`${directory}/bucket/${foreign}`, "read me")
  const sizes = yield* Effect.forEach([newer, older, foreign], (name) =>
    Effect.map(fs.stat(`${directory}/bucket/${name}`), ({ size }) => String(size))
  )
  return { file, directory, sizes }
})

/** Each part of the line is one argument. */
const words = (line: string) => line.split(" ")

const listed = (...names: ReadonlyArray<string>) => ({
  code: 0,
  out: names.map((name) => `${name}\n`).join(""),
  err: ""
})

layer(NodeServices.layer, { excludeTestServices: true })("snapshots", (it) => {
  it.effect("list: by name or by time, of a prefix, with sizes", () =>
    Effect.gen(function* () {
      const { file, sizes } = yield* bucket
      const long = (name: string, index: number) => `${sizes[index]!.padStart(12)}\t${name}`
      const cases = [
        [`--config ${file} snapshots list`, [newer, older, foreign]],
        [`snapshots list -lt --config=${file}`, [long(foreign, 2), long(older, 1), long(newer, 0)]],
        [`snapshots -c${file} list -p main__b`, [older]],
        [`snapshots list --long --long=false -pmain__b -c=${file}`, [older]],
        [`snapshots list --prefix=nothing -c ${file}`, []]
      ] as const
      for (const [line, names] of cases) assert.deepStrictEqual(yield* run(words(line)), listed(...names), line)
    })
  )

  it.effect("dump: of an object, of a file without a configuration, of one DBI, as JSON", () =>
    Effect.gen(function* () {
      const { file, directory } = yield* bucket
      const whole = yield* run(["snapshots", "dump", older, "-c", file])
      assert.strictEqual(whole.code, 0, whole.err)
      assert.match(whole.out, /"FormatVersion": 3/)
      assert.match(whole.out, /\n### users \(transform="", flags=""\)\n[\s\S]*k .*= {2}v .*flags=00\)/)
      assert.match(whole.out, /\n### other /)
      // Without a configuration: there is none where it runs.
      const path = `${directory}/bucket/${older}`
      for (const line of [`snapshots dump -ld users ${path}`, `snapshots dump --local --dbi users -- ${path}`]) {
        const { code, err, out } = yield* run(words(line), { cwd: `${directory}/bucket` })
        assert.strictEqual(code, 0, err)
        assert.match(out, /\n### users /)
        assert.notMatch(out, /### other/)
      }
      const json = yield* run(words(`snapshots dump ${older} -fjson --debug=false -c ${file}`))
      const lines = json.out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
      assert.deepStrictEqual(lines.slice(1), [
        { dbi: "users", flags: 0, transform: "" },
        { key: "6b", value: "76", timestampNano: "5", flags: 0 },
        { dbi: "other", flags: 0, transform: "" },
        { key: "6b", value: "", timestampNano: "6", flags: 1 }
      ])
    })
  )

  it.effect(
    "dump: what cannot be read is 1: what there was is printed, then the offset, or what there is instead",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { file, directory } = yield* bucket
        const corrupt = `${directory}/corrupt.pb.gz`
        yield* fs.writeFile(corrupt, yield* read("bad/entry-empty.pb.gz"))
        const cut = `${directory}/cut.pb.gz`
        yield* fs.writeFile(cut, (yield* fs.readFile(`${directory}/bucket/${newer}`)).subarray(0, 2_000))
        for (const [name, problem] of [
          [corrupt, /byte \d+/],
          [cut, /corrupt|ends|end/]
        ] as const) {
          const { code, err, out } = yield* run(["snapshots", "dump", "-l", name, "-f", "json"])
          assert.strictEqual(code, 1, name)
          assert.match(out, /^\{"snapshot":/)
          assert.match(err, problem)
          assert.include(err, name)
          assert.notMatch(err, /^\s+at /m)
        }
        for (const [args, problem] of [
          [["-d", "nothing", older], /there is no DBI .*nothing.*users, other/],
          [["nothing"], /nothing.*no such object/],
          [["-l", `${directory}/nothing`], /cannot be read/]
        ] as const) {
          const { code, err, out } = yield* run(["snapshots", "dump", "-c", file, ...args])
          assert.strictEqual(code, 1, args.join(" "))
          assert.match(err, problem)
          assert.notInclude(out, "users")
        }
      })
  )

  it.effect("a reader that goes away is no error, and a full disk is one", () =>
    Effect.gen(function* () {
      const { file } = yield* bucket
      const head = yield* piped("| head -1", "snapshots", "dump", newer, "-c", file, "-f", "json")
      assert.strictEqual(head.code, 0, head.err)
      assert.match(head.out, /^\{"snapshot":.*\}\n$/)
      assert.strictEqual(head.err, "")
      for (const args of [["dump", newer], ["list"]]) {
        const full = yield* piped("> /dev/full", "snapshots", ...args, "-c", file)
        assert.strictEqual(full.code, 1, args.join(" "))
        assert.match(full.err, /ENOSPC|no space/i)
      }
    })
  )

  it.effect("makes no bucket that is not there, and says so", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { file, directory } = yield* bucket
      yield* fs.remove(`${directory}/bucket`, { recursive: true })
      const { code, err } = yield* run(["snapshots", "list", "-c", file])
      assert.strictEqual(code, 1)
      assert.match(err, /directory is gone.*Check root_path/)
      assert.isFalse(yield* fs.exists(`${directory}/bucket`))
    })
  )
})
