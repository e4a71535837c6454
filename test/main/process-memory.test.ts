/** The settings of a process with which a daemon gives back what it has freed: they are read when it starts. */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { run, workspace } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"

/**
 * Each program that a process runs says the process's number, the allocator's two settings and V8's flags; its worker
 * threads say their largest young generation.
 */
const saySettings = `data:text/javascript,${encodeURIComponent(`
  import { isMainThread, resourceLimits } from "node:worker_threads"
  const flags = process.execArgv.filter((arg) => arg.startsWith("--max-semi"))
  process.stderr.write(isMainThread
    ? ["setting", process.pid, process.env.MALLOC_MMAP_THRESHOLD_, process.env.MALLOC_ARENA_MAX, "flags" + flags.join("")].map(String).join(" ") + "\\n"
    : "worker " + resourceLimits.maxYoungGenerationSizeMb + "\\n")
`)}`

const settingsOf = (text: string) =>
  Array.from(text.matchAll(/^setting (\d+) (\w+ \w+) (\S+)$/gm), ([, pid, setting, flags]) => ({ pid, setting, flags }))

/** A daemon that ends by its configuration: of the command line it does not know that. */
const daemon = (directory: string) => ({
  ...Daemon.quick,
  only_once: true,
  lmdbs: { main: Daemon.nativeFile(`${directory}/main.lmdb`, { create: true }) },
  storage: Daemon.folderBucket(`${directory}/bucket`)
})

const started = Effect.fnUntraced(function* (args: ReadonlyArray<string>, env = {}) {
  const { file, directory } = yield* workspace(daemon)
  yield* (yield* FileSystem.FileSystem).makeDirectory(`${directory}/bucket`)
  return yield* run([...args, "-c", file], { env, node: ["--import", saySettings] })
})

layer(NodeServices.layer, { excludeTestServices: true })("memory", (it) => {
  it.effect("is set to be given back for a daemon, by starting again in the same process with the same arguments", () =>
    Effect.gen(function* () {
      const { code, err } = yield* started(["sync", "--timeout", "40s"])
      assert.strictEqual(code, 0, err)
      const [first, second, ...more] = settingsOf(err)
      assert.deepStrictEqual([first?.setting, second?.setting, more], ["undefined undefined", "131072 1", []], err)
      assert.strictEqual(first?.pid, second?.pid)
      assert.deepStrictEqual([first?.flags, second?.flags], ["flags", "flags--max-semi-space-size=4"])
      assert.include(err, "worker 12\n")
    })
  )

  it.effect("is as the operator has it when he has set the allocator, and not needed by a command that soon ends", () =>
    Effect.gen(function* () {
      const own = yield* started(["sync", "--timeout", "40s"], { MALLOC_MMAP_THRESHOLD_: "65536" })
      assert.strictEqual(own.code, 0, own.err)
      assert.deepStrictEqual(
        settingsOf(own.err).map(({ setting }) => setting),
        ["65536 undefined"]
      )
      const heaps = yield* started(["sync", "--timeout", "40s"], { MALLOC_ARENA_MAX: "3" })
      assert.strictEqual(heaps.code, 0, heaps.err)
      assert.deepStrictEqual(
        settingsOf(heaps.err).map(({ setting }) => setting),
        ["undefined 3", "131072 3"]
      )
      const empty = yield* started(["sync", "--timeout", "40s"], { MALLOC_MMAP_THRESHOLD_: "" })
      assert.deepStrictEqual(
        settingsOf(empty.err.replaceAll("  ", " none ")).map(({ setting }) => setting),
        ["none undefined", "131072 1"],
        empty.err
      )
      for (const args of [
        ["snapshots", "list"],
        ["sync", "--only-once", "--timeout", "40s"]
      ]) {
        const { code, err } = yield* started(args)
        assert.strictEqual(code, 0, err)
        assert.deepStrictEqual(
          settingsOf(err).map(({ setting }) => setting),
          ["undefined undefined"],
          err
        )
      }
    })
  )
})
