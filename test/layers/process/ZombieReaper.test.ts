/** Node's own children keep their exit codes. That others are waited for: test/interop/first-process.test.ts. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ChildProcess } from "effect/process"

const program = new URL("../../support/processes/zombie-reaper.process.ts", import.meta.url).pathname

const codeWith = (own: string) =>
  ChildProcess.make(process.execPath, [program, own]).pipe(
    Effect.flatMap(({ exitCode }) => exitCode),
    Effect.scoped,
    Effect.provide(NodeServices.layer)
  )

describe("ZombieReaper", () => {
  it.live("leaves the exit codes of Node's own children to Node", () =>
    Effect.gen(function* () {
      assert.strictEqual(Number(yield* codeWith("known")), 42)
      // The kernel gives an exit code once: a reaper that does not know them takes it.
      assert.strictEqual(Number(yield* codeWith("none")), 99)
    })
  )
})
