/** How many threads the daemon starts, when, and what they load. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { bundle, bundled, execute, ownCompileCache, run, workspace } from "../support/Command.ts"
import { folderBucket, nativeFile } from "../support/Daemon.ts"
import { pathOf } from "../support/servers/RealServers.ts"

/** Prints a line when the modules of the daemon are loaded, and lines for the start and the end of each thread. */
const hook = `
  import { registerHooks, syncBuiltinESMExports } from "node:module"
  import threads from "node:worker_threads"
  if (threads.isMainThread) {
    threads.Worker = class extends threads.Worker {
      constructor(...args) {
        process.stdout.write("thread\\n")
        super(...args)
        this.on("exit", (code) => process.stdout.write("ended with " + code + "\\n"))
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

/** A configuration of three databases. */
const configured = Effect.fnUntraced(function* (workers: number) {
  const { directory, file } = yield* workspace((directory) => ({
    lmdbs: Object.fromEntries(
      ["a", "b", "c"].map((name) => [name, nativeFile(`${directory}/${name}.lmdb`, { create: true })])
    ),
    storage: folderBucket(`${directory}/bucket`),
    database_workers: workers
  }))
  yield* (yield* FileSystem.FileSystem).makeDirectory(`${directory}/bucket`)
  return { directory, file }
})

const watched = Effect.fnUntraced(function* (directory: string, file: string) {
  yield* (yield* FileSystem.FileSystem).writeFileString(`${directory}/hook.mjs`, hook)
  const hooked = { node: ["--import", `${directory}/hook.mjs`] }
  const { code, err, out } = yield* run(["sync", "--only-once", "-c", file], hooked)
  return { code, err, lines: out.trimEnd().split("\n") }
})

const threadsOf = Effect.fnUntraced(function* (workers: number) {
  const { directory, file } = yield* configured(workers)
  const { code, err, lines } = yield* watched(directory, file)
  assert.strictEqual(code, 0, err)
  return lines.filter((line) => !line.startsWith("ended"))
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

  it.effect("end by themselves when the configuration is refused: to terminate one that loads would abort", () =>
    Effect.gen(function* () {
      const { directory, file } = yield* workspace(() => ({ lmdbs: {} }))
      const { code, err, lines } = yield* watched(directory, file)
      assert.deepStrictEqual({ code, lines }, { code: 2, lines: ["thread", "modules", "ended with 0"] }, err)
    })
  )

  it.effect("load one file, and its code from Node's compile cache the next time", () =>
    Effect.gen(function* () {
      yield* bundle
      const { directory, file } = yield* configured(1)
      // Node itself tells what it reads from the cache, and whether V8 accepts it.
      const env = { ...ownCompileCache(directory), NODE_DEBUG_NATIVE: "COMPILE_CACHE" }
      const sync = execute([process.execPath, bundled, "sync", "--only-once", "-c", file], { env })
      const worker = pathOf("../../../dist/worker.js")
      const accepted = `V8 code cache for ESM file://${worker} was accepted`
      // A thread that the end of the process overtakes stores nothing, so it may take a few runs.
      const { code, err } = yield* Effect.repeat(sync, { until: ({ err }) => err.includes(accepted), times: 9 })
      assert.strictEqual(code, 0, err)
      assert.include(err, accepted)
      assert.notMatch(yield* (yield* FileSystem.FileSystem).readFileString(worker), /from ?[`"']\.\//)
    })
  )
})
