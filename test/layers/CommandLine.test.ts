import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { type Command, overridesOf } from "../../src/domain/CommandLine.ts"
import { commands, globalFlags } from "../../src/domain/CommandLineSpelling.ts"
import { parse } from "../../src/layers/CommandLine.ts"

const parsed = (line: string) =>
  parse(
    line.split(" ").filter((word) => word !== ""),
    "1.2.3"
  )
const refused = (line: string) =>
  parsed(line).pipe(
    Effect.flip,
    Effect.map((error) => error.message)
  )

const global = {
  config: "lightningstream.yaml",
  instance: undefined,
  logLevel: undefined,
  logFormat: undefined,
  logTimestamp: undefined,
  logConfig: false,
  minimumPid: 0,
  timeout: Duration.zero
}

describe("CommandLine", () => {
  it.effect("sync and receive take the same flags", () =>
    Effect.gen(function* () {
      const options = { onlyOnce: undefined, onlyDatabases: [], waitForMarkerFile: undefined, acceptStale: false }
      for (const [word, _tag] of [
        ["sync", "Sync"],
        ["receive", "Receive"]
      ] as const) {
        assert.deepStrictEqual<Command>(yield* parsed(word), { _tag, global, options })
        assert.deepStrictEqual<Command>(
          yield* parsed(`${word} --only-once --only-db a --only-db=b --wait-for-marker-file m`),
          {
            _tag,
            global,
            options: { onlyOnce: true, onlyDatabases: ["a", "b"], waitForMarkerFile: "m", acceptStale: false }
          }
        )
        assert.deepStrictEqual<Command>(yield* parsed(`${word} --only-once=false`), {
          _tag,
          global,
          options: { ...options, onlyOnce: false }
        })
      }
    })
  )

  it.effect("global flags", () =>
    Effect.gen(function* () {
      const command = yield* parsed(
        "-c f.yaml -i one --log-config sync --log-level WARN --log-format json --log-timestamp full --minimum-pid 50 --timeout 1m30s"
      )
      assert.deepStrictEqual(command._tag === "Sync" && command.global, {
        config: "f.yaml",
        instance: "one",
        logLevel: "warning",
        logFormat: "json",
        logTimestamp: "full",
        logConfig: true,
        minimumPid: 50,
        timeout: Duration.seconds(90)
      })
      const debug = yield* parsed("sync --debug --log-level error")
      assert.strictEqual(debug._tag === "Sync" && debug.global.logLevel, "debug")
    })
  )

  it.effect("snapshots list and dump", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual<Command>(yield* parsed("snapshots list"), {
        _tag: "SnapshotsList",
        global,
        options: { prefix: "", long: false, time: false }
      })
      assert.deepStrictEqual<Command>(yield* parsed("snapshots list -lt -pmain"), {
        _tag: "SnapshotsList",
        global,
        options: { prefix: "main", long: true, time: true }
      })
      assert.deepStrictEqual<Command>(yield* parsed("snapshots dump x -f debug"), {
        _tag: "SnapshotsDump",
        global,
        options: { name: "x", local: false, dbi: undefined, format: "text" }
      })
      assert.deepStrictEqual<Command>(yield* parsed("snapshots dump -ld records --format=json -- -x"), {
        _tag: "SnapshotsDump",
        global,
        options: { name: "-x", local: true, dbi: "records", format: "json" }
      })
    })
  )

  it.effect("drop-shadow", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual<Command>(yield* parsed("drop-shadow -c f.yaml"), {
        _tag: "DropShadow",
        global: { ...global, config: "f.yaml" }
      })
      assert.include(yield* refused("drop-shadow main"), "main")
    })
  )

  it.effect("version prints the version alone, --version with the name, before and after a command", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual<Command>(yield* parsed("version"), { _tag: "Print", text: "1.2.3\n" })
      for (const line of ["--version", "sync --version", "--version sync -c x"]) {
        assert.deepStrictEqual<Command>(
          yield* parsed(line),
          { _tag: "Print", text: "lightningstream version 1.2.3\n" },
          line
        )
      }
    })
  )

  it.effect("help is what is asked for, or all there is to say without a command", () =>
    Effect.gen(function* () {
      for (const [line, usage] of [
        ["", "lightningstream <subcommand>"],
        ["-h", "lightningstream <subcommand>"],
        ["help", "lightningstream <subcommand>"],
        ["-c f", "lightningstream <subcommand>"],
        ["sync --help", "lightningstream sync"],
        ["-h sync", "lightningstream sync"],
        ["help sync", "lightningstream sync"],
        ["help snapshots list", "lightningstream snapshots list"],
        ["snapshots", "lightningstream snapshots <subcommand>"],
        ["snapshots dump -h", "lightningstream snapshots dump"],
        ["version --help", "lightningstream version"]
      ] as const) {
        const command = yield* parsed(line)
        assert.include(command._tag === "Print" ? command.text : "", `USAGE\n  ${usage}`, line)
      }
    })
  )

  it.effect("the help names every flag that the spelling knows, and none besides", () =>
    Effect.gen(function* () {
      for (const [words, flags] of Object.entries(commands)) {
        const help = yield* parsed(`${words} --help`)
        const named = [...(help._tag === "Print" ? help.text : "").matchAll(/^ {2}--([a-z-]+)(?:, -(\w))?/gm)].map(
          ([, name, short]) => `${name} ${short ?? ""}`
        )
        assert.deepStrictEqual(
          named.toSorted(),
          [...globalFlags, ...flags].map(({ name, short }) => `${name} ${short ?? ""}`).toSorted(),
          words
        )
      }
    })
  )

  it.effect("what is wrong is said with the command, what is allowed, and where there is more", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, ...Array<string>]> = [
        [
          "synk",
          `unknown command "synk"`,
          "expected one of sync, receive, snapshots, drop-shadow, version, help",
          "See: lightningstream --help"
        ],
        [
          "snapshots dum",
          `unknown command "dum"`,
          "expected one of list, dump",
          "See: lightningstream snapshots --help"
        ],
        ["help nothing", `unknown command "nothing"`],
        ["sync extra", `"extra"`],
        ["version extra", `"extra"`],
        ["snapshots dump a b", `"b"`],
        ["snapshots dump", "Missing required argument: name"],
        ["sync --only-onc", "--only-onc", "--only-once"],
        ["--version --foo", "--foo"],
        ["sync -x", "-x"],
        ["sync -c", "--config", "FILE"],
        ["sync --log-level loud", "one of trace, debug, info, warning, error, fatal, panic", `"loud"`],
        ["sync --log-format=xml", "one of human, logfmt, json"],
        ["sync --log-timestamp iso", "one of short, disable, full"],
        ["snapshots dump a -f xml", "one of debug, text, json"],
        ["sync --timeout 5", `a duration such as "1h30m"`],
        ["sync --timeout -5s", "not below 0"],
        ["sync --minimum-pid x", "--minimum-pid"],
        ["sync --minimum-pid -1", "not below 0"],
        ["sync --debug=maybe", "--debug", "true"]
      ]
      for (const [line, ...parts] of cases) for (const part of parts) assert.include(yield* refused(line), part, line)
    })
  )

  it.effect("what the command line says overrides the file by key path", () =>
    Effect.gen(function* () {
      const command = yield* parsed("sync -i x --debug --only-once")
      assert.deepStrictEqual(command._tag === "Sync" && overridesOf(command.global, command.options), {
        instance: "x",
        "log.level": "debug",
        only_once: "true"
      })
      assert.deepStrictEqual(overridesOf(global), {})
    })
  )
})
