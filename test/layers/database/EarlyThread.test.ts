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
const start = Effect.fnUntraced(function* (entry: URL) {
  const workers: Array<Worker> = []
  process.once("worker", (worker) => workers.push(worker))
  const early = yield* EarlyThread.start(entry)
  // Node tells of the thread in the next turn.
  yield* Effect.sleep(0)
  return { early, worker: workers[0]! }
})

describe("EarlyThread", () => {
  it.live("gives its data to the thread, once", () =>
    Effect.gen(function* () {
      const early = yield* EarlyThread.start(echo)
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

  it.live("is not terminated but ends by itself when the scope closes and nobody took it", () =>
    Effect.gen(function* () {
      const { worker } = yield* Effect.scoped(start(echo))
      const [data, code] = yield* Effect.all([event(worker, "message"), event(worker, "exit")], { concurrency: 2 })
      assert.deepStrictEqual([data, code], [undefined, 0])
    })
  )

  it.live("gets nothing when the scope closes after it was taken", () =>
    Effect.gen(function* () {
      const { worker } = yield* Effect.scoped(
        Effect.tap(start(echo), ({ early }) => Effect.sync(() => early.take("a")))
      )
      assert.deepStrictEqual(yield* event(worker, "message"), "a")
    })
  )

  it.live("does not end the process when it fails", () =>
    Effect.gen(function* () {
      const program = `
        import { Effect } from "effect"
        import { start } from ${JSON.stringify(pathOf("../../../src/layers/database/EarlyThread.ts"))}
        const later = Effect.delay(Effect.sync(() => console.log("later")), 500)
        const thread = start(new URL(${JSON.stringify(failing.href)}))
        await Effect.runPromise(Effect.scoped(Effect.andThen(thread, later)))`
      const run = yield* execute([process.execPath, "--no-warnings", "--input-type=module", "-e", program])
      assert.deepStrictEqual(run, { code: 0, out: "later\n", err: "" })
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
