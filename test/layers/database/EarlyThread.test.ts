/** A thread that starts before its data are known. test/main covers that the daemon uses it as its first worker. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Worker } from "node:worker_threads"
import * as EarlyThread from "../../../src/layers/database/EarlyThread.ts"
import { execute } from "../../support/Command.ts"
import { pathOf } from "../../support/servers/RealServers.ts"

const entryOf = (code: string) => new URL(`data:text/javascript,${encodeURIComponent(code)}`)

/** The program of a thread that sends its first message back after a while, and ends. */
const echo = entryOf(
  `import { parentPort } from "node:worker_threads"
  parentPort.once("message", (data) => setTimeout(() => parentPort.postMessage(data), 200))`
)

const failing = entryOf(`throw new Error("a missing package")`)

const event = (worker: Worker, name: "message" | "exit") =>
  Effect.callback<unknown>((resume) => void worker.once(name, (value: unknown) => resume(Effect.succeed(value))))

/** Starts a thread, and also returns it as Node tells the process of each new thread. */
const start = (entry: URL) =>
  Effect.callback<{ readonly early: EarlyThread.EarlyThread; readonly worker: Worker }>((resume) => {
    process.once("worker", (worker) => resume(Effect.succeed({ early, worker })))
    const early = EarlyThread.start(entry)
  })

/** Runs a process that starts a thread, and returns what it prints. */
const runProcess = (entry: URL, then: string) =>
  execute([
    process.execPath,
    "--no-warnings",
    "--input-type=module",
    "-e",
    `import { start } from ${JSON.stringify(pathOf("../../../src/layers/database/EarlyThread.ts"))}
    const early = start(new URL(${JSON.stringify(entry.href)}))
    ${then}`
  ])

describe("EarlyThread", () => {
  it.live("gives its data to the thread, once", () =>
    Effect.gen(function* () {
      const early = EarlyThread.start(echo)
      const worker = early.take({ instance: "a" })!
      assert.strictEqual(early.take({ instance: "b" }), undefined)
      assert.deepStrictEqual(yield* event(worker, "message"), { instance: "a" })
    })
  )

  it.live("does not return a thread that has ended", () =>
    Effect.gen(function* () {
      const { early, worker } = yield* start(failing)
      yield* event(worker, "exit")
      assert.strictEqual(early.take({}), undefined)
    })
  )

  it.live("does not end the process when it fails", () =>
    Effect.gen(function* () {
      const later = `setTimeout(() => console.log("later"), 500)`
      assert.deepStrictEqual(yield* runProcess(failing, later), { code: 0, out: "later\n", err: "" })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("keeps the process alive only after it was taken", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* runProcess(echo, ""), { code: 0, out: "", err: "" })
      const print = `early.take("data").on("message", console.log).on("exit", () => console.log("ended"))`
      const answered = yield* runProcess(echo, print)
      assert.deepStrictEqual(answered, { code: 0, out: "data\nended\n", err: "" })
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
