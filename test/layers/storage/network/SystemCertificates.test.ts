/** The certificates that the system trusts, as a thread of its own reads them. */
import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem } from "effect"
import * as tls from "node:tls"
import { systemAuthorities } from "../../../../src/layers/storage/network/SystemCertificates.ts"

/** Threads of this process that run JavaScript, besides its main thread. */
const workers = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const tasks = yield* fs.readDirectory("/proc/self/task")
  // One that has just ended has no name.
  const names = yield* Effect.forEach(tasks, (task) =>
    Effect.orElseSucceed(fs.readFileString(`/proc/self/task/${task}/comm`), () => "")
  )
  return names.filter((name) => name.trim() === "WorkerThread").length
})

it.layer(NodeServices.layer, { excludeTestServices: true })("the system's certificates", (it) => {
  it.effect("are those that node finds, each once", () =>
    Effect.gen(function* () {
      const found = yield* systemAuthorities
      assert.isAbove(found.length, 0)
      assert.deepStrictEqual(found, [...new Set(tls.getCACertificates("system"))])
    })
  )

  it.effect("an interruption ends the thread that reads them", () =>
    Effect.gen(function* () {
      const before = yield* workers
      const fiber = yield* Effect.forkChild(systemAuthorities)
      while ((yield* workers) === before) assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* workers, before)
    })
  )
})
