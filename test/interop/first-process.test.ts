/**
 * The command as process 1 of a PID namespace, as it is in a container: the kernel drops every signal from inside of
 * the namespace for which there is no handler, SIGKILL included.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Option } from "effect"
import { asFirstProcess, childOf, firstProcess } from "../support/Confinement.ts"
import { execute } from "../support/Command.ts"
import * as Daemon from "../support/Daemon.ts"
import { startSide, startWaiting } from "../support/DaemonSide.ts"
import { eventually } from "../support/Eventually.ts"
import { serve } from "../support/servers/HandMadeServer.ts"
import { describeWith } from "../support/servers/RealServers.ts"

const under = asFirstProcess

/** Sends the signal from outside of the namespace, as `docker stop` does. */
const signal = (daemon: Daemon.Daemon, name: NodeJS.Signals) =>
  Effect.map(childOf(daemon.pid), (pid) => process.kill(pid, name))

/** Runs code in the threads of the command that are, or are not, the first, when the file appears. */
const atFile = (file: string, threads: "main" | "worker", code: string) => {
  const source = `import { isMainThread } from "node:worker_threads"
    import * as fs from "node:fs"
    if (isMainThread === ${threads === "main"}) {
      const timer = setInterval(() => {
        if (!fs.existsSync(${JSON.stringify(file)})) return
        clearInterval(timer)
        ${code}
      }, 20)
      timer.unref()
    }`
  return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(source)}` }
}

const temporary = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "first-" }))

describeWith("a namespace of process ids", await firstProcess(), () => {
  layer(NodeServices.layer, { excludeTestServices: true })("a daemon that is process 1", (it) => {
    it.effect("ends in order with 0 at SIGTERM", () =>
      Effect.gen(function* () {
        const { application, daemon } = yield* startSide({ lmdb_poll_interval: "10m" }, { under })
        yield* daemon.logged("Initial sync complete")
        yield* application.put("unsent", "1", 2n)
        yield* signal(daemon, "SIGTERM")
        assert.strictEqual(yield* daemon.ended, 0)
        yield* daemon.logged("Stored snapshot", (line) => line["entries"] === 2)
      })
    )

    it.effect("ends with 137 while it waits for the write lock, and leaves the lock to others", () =>
      Effect.gen(function* () {
        const { application, daemon, start } = yield* startWaiting({ under })
        yield* signal(daemon, "SIGTERM")
        yield* daemon.logged("Shutting down")
        assert.strictEqual(yield* daemon.ended, 137)
        yield* daemon.logged("Killing the process: it did not end within 10 s")
        yield* application.send({ do: "letGo" })
        yield* application.put("after", "1", 2n)
        assert.deepStrictEqual(yield* application.records, { ours: "1", after: "1" })
        const next = yield* start
        yield* next.logged("Loaded remote update")
      })
    )

    it.effect("ends at once with 137 at a second signal while a worker thread is in a system call", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* temporary
        // Opening a pipe waits until something writes to it.
        yield* execute(["mkfifo", `${directory}/pipe`])
        const blocked = `fs.writeFileSync("${directory}/blocked", ""); fs.openSync("${directory}/pipe", "r")`
        const env = atFile(`${directory}/block`, "worker", blocked)
        const { application, daemon } = yield* startSide({}, { under, env })
        yield* daemon.logged("Initial sync complete")
        yield* fs.writeFileString(`${directory}/block`, "")
        while (!(yield* fs.exists(`${directory}/blocked`))) yield* Effect.sleep("20 millis")
        yield* application.put("unsent", "1", 2n)
        yield* signal(daemon, "SIGTERM")
        yield* daemon.logged("Shutting down")
        yield* Effect.sleep("600 millis")
        yield* signal(daemon, "SIGTERM")
        assert.strictEqual(yield* daemon.ended, 137)
        yield* daemon.logged("a second signal")
      })
    )

    it.effect("ends with 137 when a worker thread is lost", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* temporary
        const { application, daemon } = yield* startSide(
          {},
          { under, env: atFile(`${directory}/end`, "worker", "process.exit(1)") }
        )
        yield* daemon.logged("Initial sync complete")
        yield* fs.writeFileString(`${directory}/end`, "")
        assert.strictEqual(yield* daemon.ended, 137)
        yield* daemon.logged("Killing the process: a worker thread is lost")
        yield* application.put("after", "1", 2n)
      })
    )

    it.effect("ends with 1 at an exception that nothing catches, while a worker thread waits for the write lock", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* temporary
        const env = atFile(`${directory}/throw`, "main", "throw new Error('thrown by the test')")
        const { application, daemon } = yield* startWaiting({ under, env })
        yield* fs.writeFileString(`${directory}/throw`, "")
        assert.strictEqual(yield* daemon.ended, 1)
        yield* daemon.logged("uncaught exception, please report it: Error: thrown by the test")
        yield* application.send({ do: "letGo" })
        yield* application.put("after", "1", 2n)
      })
    )

    it.effect("waits for processes that it inherits, such as those that a probe leaves behind", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { daemon } = yield* startSide({}, { under })
        yield* daemon.logged("Initial sync complete")
        const pid = yield* childOf(daemon.pid)
        const children = Effect.map(fs.readFileString(`/proc/${pid}/task/${pid}/children`), (text) =>
          text
            .trim()
            .split(" ")
            .filter((child) => child !== "")
        )
        assert.deepStrictEqual(yield* children, [])
        // Its shell ends at once, and leaves a process that ends later.
        const enter = ["nsenter", `--target=${pid}`, "--user", "--preserve-credentials", "--pid", "--mount"]
        const user = process.getuid?.() === 0 ? enter.filter((each) => !/user|cred/.test(each)) : enter
        yield* execute([...user, "sh", "-c", "for i in 1 2; do sleep 4 </dev/null >/dev/null 2>&1 & done"])
        const inherited = yield* eventually(
          "two processes are inherited",
          Effect.map(children, (pids) => (pids.length === 2 ? pids : undefined)),
          daemon.text
        )
        yield* eventually(
          `they are waited for: ${inherited.join()}`,
          Effect.map(children, (pids) => (pids.length === 0 ? true : undefined)),
          daemon.text
        )
        assert.isUndefined(
          yield* daemon.ended.pipe(Effect.timeoutOption("100 millis"), Effect.map(Option.getOrUndefined))
        )
      })
    )

    for (const [name, code] of [
      ["SIGTERM", 143],
      ["SIGINT", 130]
    ] as const) {
      it.effect(`ends with ${code} at ${name} in a command that has no handler for it`, () =>
        Effect.gen(function* () {
          // It never answers.
          const { accepted, endpoint_url } = yield* serve(() => {})
          const options = { endpoint_url, access_key: "a", secret_key: "s", bucket: "b" }
          const command = yield* Daemon.start({
            under,
            args: ["snapshots", "list"],
            config: { lmdbs: { main: { path: "/nowhere" } }, storage: { type: "s3", options } }
          })
          yield* eventually(
            "the server is asked",
            Effect.sync(() => (accepted() > 0 ? true : undefined))
          )
          yield* signal(command, name)
          assert.strictEqual(yield* command.ended, code)
        })
      )
    }
  })
})
