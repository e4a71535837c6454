/** What each example in the help of each command must have done, by the words of the command, in the order of its help. */
import { assert } from "@effect/vitest"
import { DateTime, Effect, FileSystem } from "effect"
import { commands } from "../../../src/main.ts"
import { run } from "../../support/Command.ts"
import { object } from "../../support/fixtures/Snapshots.ts"
import packageJson from "../../../package.json" with { type: "json" }

/** The snapshot that the examples name. It is in the bucket and in the working directory. */
const snapshot = "main__a__20250101-000000-000000000__G1.pb.gz"

export interface Ran {
  readonly directory: string
  readonly out: string
  readonly err: string
}

/** Any error that says what is wrong. */
interface Problem {
  readonly message: string
}

export interface Outcome {
  /** Prepares the directory further, before the example runs. */
  readonly arrange?: (directory: string) => Effect.Effect<unknown, Problem, FileSystem.FileSystem>
  /** Exit codes of the command, 0 if absent. */
  readonly codes?: ReadonlyArray<number>
  readonly check: (ran: Ran) => Effect.Effect<unknown, Problem, Requirements>
}

type Requirements = FileSystem.FileSystem | Effect.Services<ReturnType<typeof run>>

const files = (directory: string) => Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readDirectory(directory))

const content = (file: string) => Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(file))

const removeFile = (name: string) => (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.remove(`${directory}/${name}`))

const emptyBucket = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  for (const name of yield* files(`${directory}/bucket`)) yield* fs.remove(`${directory}/bucket/${name}`)
})

const putObject = (name: string, bytes: Uint8Array) => (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFile(`${directory}/bucket/${name}`, bytes))

const prints = (expected: RegExp | string): Outcome => ({
  check: ({ err, out }) =>
    Effect.sync(() =>
      typeof expected === "string" ? assert.strictEqual(out, expected, err) : assert.match(out, expected, err)
    )
})

/** The command logs this. */
const logs =
  (expected: RegExp) =>
  ({ err }: Ran) =>
    Effect.sync(() => assert.match(err, expected))

/** Something was sent as this instance, or nothing. */
const sends = (isSent: boolean, log: RegExp): Outcome => ({
  arrange: emptyBucket,
  check: Effect.fnUntraced(function* (ran) {
    yield* logs(log)(ran)
    const sent = (yield* files(`${ran.directory}/bucket`)).filter((name) => name.startsWith("main__a__"))
    assert.strictEqual(sent.length > 0, isSent, ran.err)
  })
})

/** A copy of the object is in this file. */
const copies = (file: string): Outcome => ({
  arrange: removeFile(snapshot),
  check: Effect.fnUntraced(function* ({ directory }) {
    assert.strictEqual(yield* content(`${directory}/${file}`), yield* content(`${directory}/bucket/${snapshot}`))
  })
})

/** The statistics of the DBIs of a database, by their names. */
const dbisOf = Effect.fnUntraced(function* (directory: string, database: string) {
  const args = ["-c", `${directory}/${yield* configIn(directory)}`, "stats", "-n", database, "-f", "json"]
  const { err, out } = yield* run(args, { cwd: directory })
  assert.notStrictEqual(out, "", err)
  const { dbis } = JSON.parse(out) as {
    readonly dbis: ReadonlyArray<{ readonly dbi: string; readonly tombstones: number }>
  }
  return new Map(dbis.map(({ dbi, tombstones }) => [dbi, tombstones]))
})

const configIn = (directory: string) =>
  Effect.map(files(directory), (names) => names.find((name) => name.endsWith(".yaml"))!)

const dropsShadows: Outcome = {
  check: Effect.fnUntraced(function* ({ directory, err }) {
    const dbis = Array.from((yield* dbisOf(directory, "main")).keys())
    assert.include(dbis, "records")
    assert.deepStrictEqual(
      dbis.filter((name) => name.startsWith("_sync")),
      [],
      err
    )
  })
}

/** The files that are restored in the directory `tmp`, and the text. */
const restores = (name: string, text: RegExp, arrange: Outcome["arrange"] = () => Effect.void): Outcome => ({
  arrange,
  check: Effect.fnUntraced(function* ({ directory, err, out }) {
    assert.deepStrictEqual(yield* files(`${directory}/tmp`), [name], err)
    assert.match(out, text)
  })
})

/** Snapshots whose one entry is nowhere else: a day old, and five minutes old. */
const differing = Effect.fnUntraced(function* (directory: string) {
  const now = yield* DateTime.now
  for (const [instance, time] of [
    ["b", DateTime.subtract(now, { days: 1 })],
    ["c", DateTime.subtract(now, { minutes: 5 })]
  ] as const) {
    const text = DateTime.formatIso(time).replaceAll(/[-:]/g, "").replace("T", "-").replace(/\..*/, "")
    yield* putObject(
      `main__${instance}__${text}-000000000__G1.pb.gz`,
      object({ records: [["only", 5, "x"]] })
    )(directory)
  }
})

const started = /"Initial sync complete"/
const endedByItself = /^(?![^]*"Shutting down)[^]*"Initial sync complete"/
const skippedShard = /^(?![^]*"Shutting down)[^]*"db":"shard".*"Skipped a database|"Skipped a database.*"db":"shard"/

const completionFile = (shell: string, text: string): Outcome => ({
  check: ({ directory }) =>
    Effect.map(content(`${directory}/tmp/lightningstream.${shell}`), (script) => assert.include(script, text))
})

const names = commands.map(({ name }) => name)

export const outcomes: Readonly<Record<string, ReadonlyArray<Outcome>>> = {
  sync: [
    sends(true, started),
    {
      ...prints(/^\n### main \(.*main\.lmdb\)\n\nmerge\n[^]*\nsend\n {4}a snapshot of \d+ entries, the first of this/),
      arrange: emptyBucket
    },
    sends(true, endedByItself)
  ],
  receive: [sends(false, started), sends(false, skippedShard)],
  "snapshots list": [
    {
      arrange: putObject("other__a__20250101-000000-000000000__G1.pb.gz", new Uint8Array(1)),
      ...prints(/^(main__\S+\n){2,}$/)
    },
    {
      arrange: putObject("zzz", new Uint8Array(7)),
      ...prints(/^ +7\tzzz\n *\d+\tmain__a__2025\S+\n( *\d+\tmain__a__\S+\n)+$/)
    }
  ],
  "snapshots dump": [
    prints(/^\{\n[^]*"InstanceID": "a"[^]*\n### records \(/),
    {
      arrange: removeFile(`bucket/${snapshot}`),
      ...prints(/^\{"snapshot":\{.*"instanceID":"a".*\}\}\n\{"dbi":/)
    }
  ],
  "snapshots get": [copies(snapshot), copies("tmp/a.pb.gz")],
  "snapshots put": [
    {
      arrange: removeFile(`bucket/${snapshot}`),
      check: Effect.fnUntraced(function* ({ directory }) {
        assert.strictEqual(
          yield* content(`${directory}/bucket/${snapshot}`),
          yield* content(`${directory}/${snapshot}`)
        )
      })
    },
    {
      check: ({ directory }) => Effect.map(content(`${directory}/bucket/start`), (text) => assert.strictEqual(text, ""))
    }
  ],
  "snapshots remove": [
    {
      check: Effect.fnUntraced(function* ({ directory }) {
        const left = yield* files(`${directory}/bucket`)
        assert.notInclude(left, snapshot)
        assert.isAtLeast(left.length, 1)
      })
    },
    {
      arrange: putObject("main__gone__20250101-000000-000000000__G1.pb.gz", new Uint8Array(1)),
      check: Effect.fnUntraced(function* ({ directory }) {
        const left = yield* files(`${directory}/bucket`)
        assert.include(left, snapshot)
        assert.deepStrictEqual(
          left.filter((name) => name.startsWith("main__gone__")),
          []
        )
      })
    }
  ],
  restore: [
    restores("main.lmdb", /^### main :: .*\n\nmain__a__20[^]*^records +1 +0 +none +[0-9a-f]{64}$/m),
    restores(
      "then.lmdb",
      new RegExp(`^### main :: .*\\n\\n${snapshot}  \\d+ entries\\n\\n[^]*^records +1 +- +none +[0-9a-f]{64}$`, "m"),
      putObject("main__b__20250102-000000-000000000__G1.pb.gz", object({ records: [["only", 5, "x"]] }))
    )
  ],
  dump: [prints(/^\n### main :: domains_v5_0\n(?![^]*_sync)/), prints(/^(\{.*\}\n){3}$/)],
  stats: [prints(/^\n### main :: .*\n\nMap size: [^]*^records +1 +0 /m), prints(/^\{"database":"main",.*\}\n$/)],
  verify: [
    prints(/^\n### main\n\na [^]*\nrecords\n {4}a +1 entries, [^]*\nthe LMDB here /),
    { arrange: differing, codes: [1], ...prints(/^(\{.*"from":"b".*"result":"differs".*\}\n){1,3}$/) }
  ],
  doctor: [
    prints(/^ok +configuration: [^]*^ok +permissions: delete works$/m),
    {
      check: ({ out }) =>
        Effect.sync(() => {
          for (const line of out.split("\n").filter((one) => one !== ""))
            assert.notStrictEqual((JSON.parse(line) as { readonly level: string }).level, "ok")
        })
    }
  ],
  "drop-shadow": [dropsShadows, dropsShadows],
  "config check": [
    prints("lightningstream.yaml: the configuration can be used\n"),
    prints("lightningstream.yaml: the configuration can be used\nready to restart\n")
  ],
  "config show": [prints(/^instance: a\n[^]*\nlmdbs:\n {2}main:\n/), prints("instance: b\n")],
  "experimental migrate-timestamps": [
    { check: logs(/"Migrated timestamps".*"added":1|"added":1.*"Migrated timestamps"/) },
    { check: logs(/"There is no source DBI: nothing was migrated"/) }
  ],
  "experimental pdns-v5-fix-duplicate-domains": [
    {
      ...prints(/^example\.org: id 1 of .* stays\nexample\.org: id 2 of .* is a duplicate\n\nNothing was changed/)
    },
    {
      check: Effect.fnUntraced(function* ({ directory, err, out }) {
        assert.match(out, /^example\.org: id 2 of .* renamed to example\.org\.dup-2\.invalid$/m, err)
        assert.strictEqual((yield* dbisOf(directory, "main")).get("domains_v5_0"), 1)
      })
    }
  ],
  version: [prints(`${packageJson.version}\n`), prints(`lightningstream version ${packageJson.version}\n`)],
  completion: [
    completionFile("bash", "complete -F _lightningstream"),
    completionFile("fish", "complete -c lightningstream")
  ],
  docs: [
    {
      check: ({ directory }) =>
        Effect.map(content(`${directory}/cli.md`), (text) => assert.match(text, /^# The command line\n/))
    },
    {
      check: ({ directory }) =>
        Effect.map(content(`${directory}/lightningstream.1`), (text) => assert.match(text, /^\.TH LIGHTNINGSTREAM 1 /))
    }
  ],
  help: [
    {
      check: ({ out }) =>
        Effect.sync(() => {
          for (const name of names) assert.include(out, `\n  ${name}`)
        })
    },
    prints(/^DESCRIPTION\n {2}List the objects in the bucket\n/)
  ]
}
