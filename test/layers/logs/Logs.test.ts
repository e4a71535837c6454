import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, DateTime, Effect, Layer, Logger } from "effect"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- processes whose standard error is a pipe, a file, a terminal
import * as childProcess from "node:child_process"
// @effect-diagnostics-next-line nodeBuiltinImport:off -- descriptors
import * as fs from "node:fs"
import * as os from "node:os"
import { fileURLToPath } from "node:url"
import { layerWith, lineOf, write } from "../../../src/layers/logs/Logs.ts"
import type { Line } from "../../../src/layers/logs/LogsFormat.ts"

/** What the logger makes of what an effect logs. */
const linesOf = Effect.fnUntraced(function* <E>(effect: Effect.Effect<void, E>, stacks = false) {
  const lines: Array<Line> = []
  const logger = Logger.make((options) => void lines.push(lineOf(options, { secondsSinceStart: 1, stacks })))
  yield* Effect.provide(effect, Logger.layer([logger]))
  return lines.map(({ fields, level, message }) => ({ level, message, fields }))
})

const entry = fileURLToPath(new URL("../../support/processes/logs.process.ts", import.meta.url))
const script = "/usr/bin/script"

describe("Logs", () => {
  it.effect("first argument the message, plain objects and annotations the fields", () =>
    Effect.gen(function* () {
      const lines = yield* linesOf(
        Effect.logInfo("Stored snapshot", { txnID: 7, db: "here" }, "twice", { size: 3 }).pipe(
          Effect.annotateLogs({ db: "main", component: "sender" })
        )
      )
      assert.deepStrictEqual(lines, [
        {
          level: "Info",
          message: "Stored snapshot twice",
          fields: { db: "here", component: "sender", txnID: 7, size: 3 }
        }
      ])
    })
  )

  it.effect("an error or a cause is the field error, by its message", () =>
    Effect.gen(function* () {
      const error = new Error("no route")
      for (const part of [error, Cause.fail(error), Cause.die(error)]) {
        assert.deepStrictEqual(yield* linesOf(Effect.logError("Sending failed", part)), [
          { level: "Error", message: "Sending failed", fields: { error: "no route" } }
        ])
        assert.deepStrictEqual(yield* linesOf(Effect.logError(part)), [
          { level: "Error", message: "no route", fields: {} }
        ])
      }
    })
  )

  it.effect("stacks come with debug only", () =>
    Effect.gen(function* () {
      const [line] = yield* linesOf(Effect.logError("Sending failed", new Error("no route")), true)
      assert.match(String(line?.fields["stack"]), /^Error: no route\n +at /)
    })
  )

  it.effect("levels below the configured one are not logged, and warn is warning", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel }) => void lines.push(logLevel))
      const all = Effect.all([Effect.logInfo("i"), Effect.logWarning("w"), Effect.logError("e"), Effect.logFatal("f")])
      for (const level of ["warn", "warning", "error", "fatal", "panic"] as const) {
        const logs = Layer.provideMerge(Logger.layer([logger]), layerWith({ format: "json", level, timestamp: "full" }))
        yield* Effect.provide(all, logs)
      }
      assert.strictEqual(lines.join(" "), "Warn Error Fatal Warn Error Fatal Error Fatal Fatal Fatal")
    })
  )

  for (const [format, first] of [
    ["logfmt", "level=info"],
    ["human", "level=info"],
    ["json", '{"db":"main","level":"info"']
  ] as const) {
    it.live(`all of it is written before a process kills itself (${format} into a pipe)`, () =>
      Effect.sync(() => {
        const options = JSON.stringify({ format, level: "info", timestamp: "disable" })
        const { signal, stderr, stdout } = childProcess.spawnSync(process.execPath, [entry, options], {
          encoding: "utf8"
        })
        const lines = stderr.split("\n")
        assert.deepStrictEqual([signal, stdout, lines.length], ["SIGKILL", "", 4])
        assert.isTrue(lines[0]!.startsWith(first), lines[0])
        assert.include(lines[1], "no route")
        assert.isAbove(lines[2]!.length, 300_000)
      })
    )
  }

  for (const [TZ, zone] of [
    ["Asia/Kathmandu", "+05:45"],
    ["America/Caracas", "-04:00"],
    ["UTC", "Z"]
  ] as const) {
    it.live(`times are in the local zone (${TZ})`, () =>
      Effect.gen(function* () {
        const options = JSON.stringify({ format: "logfmt", level: "info", timestamp: "short" })
        const { stderr } = childProcess.spawnSync(process.execPath, [entry, options], { encoding: "utf8", env: { TZ } })
        const [, time = ""] = /^time="(.*?)"/.exec(stderr) ?? []
        assert.isTrue(time.endsWith(zone), time)
        const age = (yield* Clock.currentTimeMillis) - DateTime.toEpochMillis(DateTime.makeUnsafe(time))
        assert.isTrue(age >= 0 && age < 60_000, time)
      })
    )
  }

  // Of util-linux: runs a command in a terminal.
  it.live("human on a terminal is coloured and has the database in front", (context) =>
    Effect.sync(() => {
      if (!fs.existsSync(script)) return context.skip(`there is no ${script}`)
      const options = JSON.stringify({ format: "human", level: "debug", timestamp: "short" })
      const command = `'${process.execPath}' '${entry}' '${options}'`
      const { stdout } = childProcess.spawnSync(script, ["-qec", command, "/dev/null"], { encoding: "utf8" })
      const [debug, info] = stdout.replaceAll("\x1b", "").split("\r\n")
      assert.match(debug!, /^\[37mDEBU\[0m\[000\d\] \[main {10}\] not shown at info$/)
      assert.match(
        info!,
        /^\[36mINFO\[0m\[000\d\] \[main {10}\] Stored snapshot {13} \[36mtime_total\[0m=12ms \[36mtxnID\[0m=7$/
      )
    })
  )

  it.live("a full pipe that does not block is waited for", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(`${os.tmpdir()}/logs-`)),
        (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
      )
      childProcess.execFileSync("mkfifo", [`${directory}/pipe`])
      const descriptor = fs.openSync(`${directory}/pipe`, fs.constants.O_RDWR | fs.constants.O_NONBLOCK)
      const reader = childProcess.spawn("sh", ["-c", "sleep 0.1; cat pipe > all"], { cwd: directory })
      write(descriptor, "x".repeat(300_000))
      fs.closeSync(descriptor)
      yield* Effect.callback<void>((resume) => void reader.once("exit", () => resume(Effect.void)))
      assert.strictEqual(fs.statSync(`${directory}/all`).size, 300_001)
    })
  )

  it.live("a closed descriptor and a full disk stop nothing", () =>
    Effect.sync(() => {
      const descriptor = fs.openSync("/dev/full", "w")
      write(descriptor, "lost")
      fs.closeSync(descriptor)
      write(descriptor, "lost")
    })
  )
})
