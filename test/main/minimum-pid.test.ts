/**
 * `--minimum-pid` in a namespace of process numbers that begins with 1, as a container has it. Where the machine allows
 * none, these tests are skipped with the reason, as for servers (RealServers.ts).
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Option, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { createRequire } from "node:module"
import { tried } from "../support/Confinement.ts"
import * as Application from "../support/Application.ts"
import * as Daemon from "../support/Daemon.ts"
import { eventually } from "../support/Eventually.ts"
import { describeWith } from "../support/servers/RealServers.ts"
import { nativeWorkspace, run } from "../support/Command.ts"

/** The command is number 1 in it, and everything ends with it. */
const namespace = [
  "unshare",
  ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]),
  "--fork",
  "--pid",
  "--kill-child",
  "--mount-proc"
]

const installed = await tried("this user may not make a namespace of process numbers", [...namespace, "true"])

/** Each process of the command says its number. */
const sayPid = "data:text/javascript,process.stderr.write(`pid ${process.pid}\\n`)"

const pidsOf = (text: string) => Array.from(text.matchAll(/^pid (\d+)$/gm), ([, pid]) => Number(pid))

const usual = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { file, directory } = yield* nativeWorkspace
  yield* fs.writeFileString(`${directory}/bucket/object`, "x")
  return { file, directory, config: yield* fs.readFileString(file) }
})

const list = (file: string, minimum: number, under: ReadonlyArray<string>, env = {}) =>
  Effect.map(
    run(["snapshots", "list", "-c", file, "--minimum-pid", String(minimum)], {
      under,
      env,
      node: ["--import", sayPid]
    }),
    (result) => ({ ...result, pids: pidsOf(result.err) })
  )

/** The processes below that one, as this namespace numbers them: the first is number 1 in its own. */
const descendants = Effect.fnUntraced(function* (pid: number) {
  const fs = yield* FileSystem.FileSystem
  const found: Array<number> = []
  for (let parent: number | undefined = pid; parent !== undefined; parent = found.at(-1)) {
    const children: string = yield* fs
      .readFileString(`/proc/${parent}/task/${parent}/children`)
      .pipe(Effect.orElseSucceed(() => ""))
    if (children.trim() === "") break
    found.push(Number(children.trim().split(" ")[0]))
  }
  return found
})

const onlyOnce = (file: string, ...args: ReadonlyArray<string>) =>
  run(["sync", "--only-once", "-c", file, ...args], { under: namespace })

const cleared = "Cleared readers of dead processes"

/** Reads an LMDB as number 1 of a namespace, for good. It can be killed from here. */
const readAsFirst = Effect.fnUntraced(function* (path: string) {
  const script = `const env = require(process.argv[1]).open({ path: process.argv[2], noSubdir: true, mapSize: ${Application.megabyte}, overlappingSync: false })
    env.resetReadTxn()
    env.useReadTransaction()
    console.log("reading as " + process.pid)
    setInterval(() => {}, 1000)`
  const [program, ...args] = [
    ...namespace,
    process.execPath,
    "-e",
    script,
    createRequire(import.meta.url).resolve("lmdb"),
    path
  ]
  const handle = yield* ChildProcess.make(program!, args, { stdin: "ignore", killSignal: "SIGKILL" })
  const said = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(handle.stdout)))
  assert.deepStrictEqual(said, Option.some("reading as 1"))
  const [pid] = yield* descendants(handle.pid)
  return {
    kill: Effect.andThen(
      Effect.sync(() => process.kill(pid!, "SIGKILL")),
      Effect.ignore(handle.exitCode)
    )
  }
})

layer(NodeServices.layer, { excludeTestServices: true })("--minimum-pid", (it) => {
  it.effect("does nothing for a process whose number is large enough, also 0", () =>
    Effect.gen(function* () {
      const { file } = yield* usual
      for (const minimum of [0, 1]) {
        const { code, err, out, pids } = yield* list(file, minimum, [])
        assert.strictEqual(code, 0, err)
        assert.strictEqual(out, "object\n")
        assert.lengthOf(pids, 1)
      }
    })
  )

  describeWith("below that number", installed, () => {
    it.effect("uses numbers up, and runs the command as a child that has such a number", () =>
      Effect.gen(function* () {
        const { file } = yield* usual
        const { code, err, out, pids } = yield* list(file, 40, namespace)
        assert.strictEqual(code, 0, err)
        assert.strictEqual(out, "object\n")
        assert.lengthOf(pids, 2)
        assert.strictEqual(pids[0], 1)
        assert.isAtLeast(pids[1]!, 40)
        assert.notInclude(err, "counts as")
      })
    )

    it.effect("takes more than 200 as 200, with a warning", () =>
      Effect.gen(function* () {
        const { file } = yield* usual
        const { code, err, pids } = yield* list(file, 5_000, namespace)
        assert.strictEqual(code, 0, err)
        assert.isAtLeast(pids[1]!, 200)
        assert.isBelow(pids[1]!, 1_000)
        assert.include(err, '"msg":"--minimum-pid 5000 counts as 200"')
        assert.lengthOf(err.match(/counts as/g) ?? [], 1)
      })
    )

    it.effect("does nothing with LIGHTNINGSTREAM_NO_PID_CHECK=1", () =>
      Effect.gen(function* () {
        const { file } = yield* usual
        const { code, out, pids } = yield* list(file, 40, namespace, { LIGHTNINGSTREAM_NO_PID_CHECK: "1" })
        assert.deepStrictEqual({ code, out, pids }, { code: 0, out: "object\n", pids: [1] })
      })
    )

    it.effect("passes the exit code on", () =>
      Effect.gen(function* () {
        const { file } = yield* usual
        const under = { under: namespace }
        assert.strictEqual((yield* run(["snapshots", "list", "-c", `${file}.not`, "--minimum-pid=9"], under)).code, 2)
        assert.strictEqual((yield* run(["snapshots", "dump", "nothing", "-c", file, "--minimum-pid=9"], under)).code, 1)
        assert.strictEqual((yield* run(["sync", "-c", file, "--minimum-pid=9", "--timeout=1s"], under)).code, 75)
      })
    )

    const startDaemon = Effect.gen(function* () {
      const { config } = yield* usual
      const daemon = yield* Daemon.start({ args: ["sync", "--minimum-pid", "9"], config, under: namespace })
      yield* daemon.logged("Initial sync complete")
      const [first, second] = yield* eventually(
        "there are two processes",
        Effect.map(descendants(daemon.pid), (pids) => (pids.length === 2 ? pids : undefined))
      )
      return { daemon, first: first!, second: second! }
    })

    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      it.effect(`passes ${signal} on, once: the daemon ends in order`, () =>
        Effect.gen(function* () {
          const { daemon, first } = yield* startDaemon
          process.kill(first, signal)
          yield* daemon.logged("Shutting down", (line) => line["signal"] === signal)
          assert.strictEqual(yield* daemon.ended, 0, daemon.text())
        })
      )
    }

    it.effect("Ctrl-C on a terminal, which every process of its group gets, is one signal and not two", () =>
      Effect.gen(function* () {
        const { daemon, first } = yield* startDaemon
        // While the first process sleeps, nothing can come from it.
        process.kill(first, "SIGSTOP")
        // The group of unshare and of what it starts.
        process.kill(-daemon.pid, "SIGINT")
        yield* Effect.sleep("1 second")
        assert.notInclude(daemon.text(), "Shutting down")
        process.kill(first, "SIGCONT")
        yield* daemon.logged("Shutting down")
        assert.strictEqual(yield* daemon.ended, 0, daemon.text())
      })
    )

    it.effect("says 137 when the child was killed", () =>
      Effect.gen(function* () {
        const { daemon, second } = yield* startDaemon
        process.kill(second, "SIGKILL")
        assert.strictEqual(yield* daemon.ended, 137, daemon.text())
      })
    )

    it.effect(
      "a container that was killed while it read, and starts again with the same numbers, frees its old slots",
      () =>
        Effect.gen(function* () {
          const { file, directory } = yield* usual
          const application = yield* Application.open(`${directory}/main.lmdb`)
          yield* application.put("k", "1", 1n)
          const killed = yield* readAsFirst(`${directory}/main.lmdb`)
          yield* killed.kill
          const first = yield* onlyOnce(file)
          assert.strictEqual(first.code, 0, first.err)
          assert.include(first.err, cleared)
          // There are none left.
          const second = yield* onlyOnce(file)
          assert.strictEqual(second.code, 0, second.err)
          assert.notInclude(second.err, cleared)
        })
    )

    it.effect(
      "a reader in another container keeps its slot; one with our own number is an error that names --minimum-pid, which helps",
      () =>
        Effect.gen(function* () {
          const { file, directory } = yield* usual
          const application = yield* Application.open(`${directory}/main.lmdb`)
          yield* application.put("k", "1", 1n)
          const living = yield* readAsFirst(`${directory}/main.lmdb`)
          for (let i = 0; i < 2; i++) {
            const met = yield* onlyOnce(file)
            assert.strictEqual(met.code, 1, met.err)
            assert.include(
              met.err,
              "another process with the id 1 has it open, in a container with process ids of its own: start with --minimum-pid"
            )
          }
          const apart = yield* onlyOnce(file, "--minimum-pid", "9")
          assert.strictEqual(apart.code, 0, apart.err)
          assert.notInclude(apart.err, cleared)
          yield* living.kill
          const after = yield* onlyOnce(file)
          assert.strictEqual(after.code, 0, after.err)
          assert.include(after.err, cleared)
        })
    )
  })
})
