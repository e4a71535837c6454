/** The ends of a process, in processes that are no process 1: for that one see test/interop/first-process.test.ts. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { execute } from "../../support/Command.ts"
import { pathOf } from "../../support/servers/RealServers.ts"

const module = pathOf("../../../src/layers/process/EndProcess.ts")

/** Runs code that has the module's functions. */
const run = (code: string, ...flags: ReadonlyArray<string>) => {
  const source = `import { endProcess, killProcess } from ${JSON.stringify(module)}\n${code}`
  return execute([process.execPath, "--no-warnings", ...flags, "--input-type=module", "-e", source])
}

/** Code that goes on when a thread waits in a system call: opening a pipe to which nothing ever writes. */
const blockedThread = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const pipe = `${yield* fs.makeTempDirectoryScoped({ prefix: "end-" })}/pipe`
  yield* execute(["mkfifo", pipe])
  return `
    import { Worker } from "node:worker_threads"
    const wait = 'const { openSync } = process.getBuiltinModule("node:fs"); openSync("${pipe}", "r")'
    await new Promise((resolve) => new Worker(wait, { eval: true }).on("online", resolve))
    await new Promise((resolve) => setTimeout(resolve, 500))
  `
})

layer(NodeServices.layer, { excludeTestServices: true })("a process", (it) => {
  it.effect("ends with the exit code while a thread is in a system call, and prints nothing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(`${yield* blockedThread}; endProcess(75)`), { code: 75, out: "", err: "" })
    })
  )

  it.effect("ends with the exit code where it may not replace its program", () =>
    Effect.gen(function* () {
      const { code, err } = yield* run("endProcess(3)", "--permission", "--allow-fs-read=/")
      assert.strictEqual(code, 3, err)
    })
  )

  it.effect("kills itself with SIGKILL while a thread is in a system call", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run(`${yield* blockedThread}; killProcess()`))
      assert.include(String(error.cause ?? error), "SIGKILL")
    })
  )
})
