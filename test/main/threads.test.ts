/** How many threads the daemon starts, and when: the first one while it loads its modules. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { run, workspace } from "../support/Command.ts"
import { folderBucket, nativeFile } from "../support/Daemon.ts"

/** Prints a line when the modules of the daemon are loaded, and one for each new thread. */
const hook = `
  import { registerHooks, syncBuiltinESMExports } from "node:module"
  import threads from "node:worker_threads"
  if (threads.isMainThread) {
    threads.Worker = class extends threads.Worker {
      constructor(...args) {
        process.stdout.write("thread\\n")
        super(...args)
      }
    }
    syncBuiltinESMExports()
    registerHooks({
      load: (url, context, next) => {
        if (/\\/Daemon[-.][^/]*$/.test(url)) process.stdout.write("modules\\n")
        return next(url, context)
      }
    })
  }`

const threadsOf = Effect.fnUntraced(function* (workers: number) {
  const { directory, file } = yield* workspace((directory) => ({
    lmdbs: Object.fromEntries(
      ["a", "b", "c"].map((name) => [name, nativeFile(`${directory}/${name}.lmdb`, { create: true })])
    ),
    storage: folderBucket(`${directory}/bucket`),
    database_workers: workers
  }))
  const fs = yield* FileSystem.FileSystem
  yield* fs.makeDirectory(`${directory}/bucket`)
  yield* fs.writeFileString(`${directory}/hook.mjs`, hook)
  const { code, err, out } = yield* run(["sync", "--only-once", "-c", file], {
    node: ["--import", `${directory}/hook.mjs`]
  })
  assert.strictEqual(code, 0, err)
  return out.trimEnd().split("\n")
})

layer(NodeServices.layer, { excludeTestServices: true })("the worker threads", (it) => {
  it.effect(
    "are as many as database_workers, and the first one starts before the modules of the daemon are loaded",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* threadsOf(1), ["thread", "modules"])
        assert.deepStrictEqual(yield* threadsOf(3), ["thread", "modules", "thread", "thread"])
      })
  )
})
