import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { CommandTree } from "../../../src/commands/cli/CommandDefinition.ts"
import { overridesOf } from "../../../src/commands/cli/GlobalFlags.ts"
import { byWords, spellingsOf } from "../../../src/commands/cli/Grammar.ts"
import { parse } from "../../../src/commands/cli/Parse.ts"
import { receive } from "../../../src/commands/Receive.ts"
import { snapshotsDump } from "../../../src/commands/snapshots/SnapshotsDump.ts"
import { snapshotsList } from "../../../src/commands/snapshots/SnapshotsList.ts"
import { sync } from "../../../src/commands/Sync.ts"
import { dropShadow } from "../../../src/commands/DropShadow.ts"
import { commands } from "../../../src/main.ts"

const tree = { version: "1.2.3", commands }

const words = (line: string) => line.split(" ").filter((word) => word !== "")
const parsed = (line: string) => Effect.provideService(parse(words(line)), CommandTree, tree)
const refused = (line: string) =>
  parsed(line).pipe(
    Effect.flip,
    Effect.map((error) => error.message)
  )
const textOf = (line: string) => Effect.map(parsed(line), (result) => ("text" in result ? result.text : ""))
const invoked = (line: string) =>
  Effect.map(parsed(line), (result) => {
    if ("text" in result) return assert.fail(`${line}: ${result.text}`)
    // effect/cli keeps its state in there, under a symbol.
    return { ...result, global: Object.fromEntries(Object.entries(result.global)) as typeof result.global }
  })

const global = {
  config: "lightningstream.yaml",
  instance: undefined,
  debug: false,
  logLevel: undefined,
  logFormat: undefined,
  logTimestamp: undefined,
  logConfig: false,
  minimumPid: 0,
  timeout: Duration.zero,
  version: false
}

describe("the command line", () => {
  it.effect("sync and receive take the same flags", () =>
    Effect.gen(function* () {
      const given = { onlyOnce: undefined, onlyDb: [], waitForMarkerFile: undefined, acceptStale: false, dryRun: false }
      for (const [word, command] of [
        ["sync", sync],
        ["receive", receive]
      ] as const) {
        assert.deepStrictEqual(yield* invoked(word), { command, global, given })
        assert.deepStrictEqual(
          (yield* invoked(`${word} --only-once --only-db a --only-db=b --wait-for-marker-file m`)).given,
          {
            onlyOnce: true,
            onlyDb: ["a", "b"],
            waitForMarkerFile: "m",
            acceptStale: false,
            dryRun: false
          }
        )
        assert.deepStrictEqual((yield* invoked(`${word} --only-once=false`)).given, { ...given, onlyOnce: false })
      }
    })
  )

  it.effect("global flags", () =>
    Effect.gen(function* () {
      const command = yield* invoked(
        "-c f.yaml -i one --log-config sync --log-level WARN --log-format json --log-timestamp full --minimum-pid 50 --timeout 1m30s"
      )
      assert.deepStrictEqual(command.global, {
        ...global,
        config: "f.yaml",
        instance: "one",
        logLevel: "warning",
        logFormat: "json",
        logTimestamp: "full",
        logConfig: true,
        minimumPid: 50,
        timeout: Duration.seconds(90)
      })
    })
  )

  it.effect("snapshots list and dump", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* invoked("snapshots list"), {
        command: snapshotsList,
        global,
        given: { prefix: "", long: false, json: false, time: false }
      })
      assert.deepStrictEqual((yield* invoked("snapshots list -lt -pmain")).given, {
        prefix: "main",
        long: true,
        json: false,
        time: true
      })
      assert.deepStrictEqual(yield* invoked("snapshots dump x -f debug"), {
        command: snapshotsDump,
        global,
        given: { name: "x", local: false, dbi: undefined, format: "debug" }
      })
      assert.deepStrictEqual((yield* invoked("snapshots dump -ld records --format=json -- -x")).given, {
        name: "-x",
        local: true,
        dbi: "records",
        format: "json"
      })
    })
  )

  it.effect("drop-shadow", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* invoked("drop-shadow -c f.yaml"), {
        command: dropShadow,
        global: { ...global, config: "f.yaml" },
        given: {}
      })
      assert.include(yield* refused("drop-shadow main"), "main")
    })
  )

  it.effect("--version prints the name and the version, before and after a command", () =>
    Effect.gen(function* () {
      for (const line of ["--version", "sync --version", "--version sync -c x"]) {
        assert.deepStrictEqual(yield* parsed(line), { text: "lightningstream version 1.2.3\n" }, line)
      }
    })
  )

  it.effect("help is what is asked for, or all there is to say without a command", () =>
    Effect.gen(function* () {
      for (const [line, usage] of [
        ["", "lightningstream <subcommand>"],
        ["-h", "lightningstream <subcommand>"],
        ["-c f", "lightningstream <subcommand>"],
        ["sync --help", "lightningstream sync"],
        ["-h sync", "lightningstream sync"],
        ["snapshots", "lightningstream snapshots <subcommand>"],
        ["snapshots dump -h", "lightningstream snapshots dump"],
        ["version --help", "lightningstream version"]
      ] as const)
        assert.include(yield* textOf(line), `USAGE\n  ${usage}`, line)
    })
  )

  it.effect("the help names every flag that the spelling knows, and none besides", () =>
    Effect.gen(function* () {
      const spellings = spellingsOf(tree)
      for (const [words, flags] of spellings.commands) {
        const named = [...(yield* textOf(`${words} --help`)).matchAll(/^ {2}--([a-z-]+)(?:, -(\w))?/gm)].map(
          ([, name, short]) => `${name} ${short ?? ""}`
        )
        assert.deepStrictEqual(
          named.toSorted(),
          [...spellings.global, ...flags].map(({ name, short }) => `${name} ${short ?? ""}`).toSorted(),
          words
        )
      }
    })
  )

  it.effect("the help of every command has two examples of it", () =>
    Effect.gen(function* () {
      for (const [words, entry] of byWords(commands)) {
        if ("commands" in entry) continue
        const text = yield* textOf(`${words} --help`)
        assert.isAtLeast(entry.examples.length, 2, words)
        for (const { command, description } of entry.examples) {
          assert.include(text, `  # ${description}\n  ${command}\n`)
          if (words !== "version") assert.include(command, words)
        }
      }
    })
  )

  it.effect("what is wrong is said with the command, what is allowed, and where there is more", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [string, ...Array<string>]> = [
        [
          "synk",
          `unknown command "synk"`,
          `expected one of ${commands.map(({ name }) => name).join(", ")}`,
          "See: lightningstream --help"
        ],
        [
          "snapshots dum",
          `unknown command "dum"`,
          "expected one of list, dump, ",
          "See: lightningstream snapshots --help"
        ],
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
        ["sync --timeout -5s", "not negative"],
        ["sync --minimum-pid x", "--minimum-pid"],
        ["sync --minimum-pid -1", "not negative"],
        ["sync --debug=maybe", "--debug", "true"]
      ]
      for (const [line, ...parts] of cases) for (const part of parts) assert.include(yield* refused(line), part, line)
    })
  )

  it.effect("what the command line says overrides the file by key path", () =>
    Effect.gen(function* () {
      const command = yield* invoked("sync -i x --debug --log-level error")
      assert.deepStrictEqual(overridesOf(command.global, true), {
        instance: "x",
        "log.level": "debug",
        only_once: "true"
      })
      assert.deepStrictEqual(overridesOf(global), {})
    })
  )
})
