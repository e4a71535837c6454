/** Signals before a command has handlers of its own, as process 1: the kernel drops those that nothing handles. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execute } from "../../support/Command.ts"
import { asFirstProcess, firstProcess } from "../../support/Confinement.ts"
import { describeWith, pathOf } from "../../support/servers/RealServers.ts"

const module = pathOf("../../../src/layers/process/DefaultSignals.ts")

/** Runs code as process 1 after the signals are handled. It ends with 9 if nothing else ends it. */
const run = (code: string) => {
  const source = `import { handleSignals } from ${JSON.stringify(module)}\nhandleSignals(); ${code}; setTimeout(() => process.exit(9), 3_000)`
  return execute([...asFirstProcess, process.execPath, "--no-warnings", "--input-type=module", "-e", source])
}

describeWith("a namespace of process ids", await firstProcess(), () => {
  layer(NodeServices.layer, { excludeTestServices: true })("process 1", (it) => {
    for (const [signal, expected] of [
      ["SIGTERM", 143],
      ["SIGINT", 130]
    ] as const) {
      it.effect(`ends with ${expected} at ${signal}, unless something else handles it`, () =>
        Effect.gen(function* () {
          const kill = `process.kill(process.pid, "${signal}")`
          assert.strictEqual((yield* run(kill)).code, expected)
          const handled = yield* run(`process.on("${signal}", () => process.exit(7)); ${kill}`)
          assert.strictEqual(handled.code, 7)
        })
      )
    }
  })
})
